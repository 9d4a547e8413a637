// Reads MessagePack, in which Tiled's websocket sends arrays: https://github.com/msgpack/msgpack/blob/master/spec.md

const text = new TextDecoder();

/** The value in an ArrayBuffer; binary data become a Uint8Array. */
export function unpack(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  let at = 0;

  const number = (read, size) => {
    const value = view[read](at);
    at += size;
    return typeof value === "bigint" ? Number(value) : value;
  };
  const unsigned = (size) => number({ 1: "getUint8", 2: "getUint16", 4: "getUint32", 8: "getBigUint64" }[size], size);
  const signed = (size) => number({ 1: "getInt8", 2: "getInt16", 4: "getInt32", 8: "getBigInt64" }[size], size);
  const binary = (length) => bytes.slice(at, (at += length));
  const list = (length) => Array.from({ length }, value);
  const table = (length) => Object.fromEntries(Array.from({ length }, () => [value(), value()]));

  function value() {
    const head = unsigned(1);
    if (head < 0x80) return head;
    if (head < 0x90) return table(head & 0x0f);
    if (head < 0xa0) return list(head & 0x0f);
    if (head < 0xc0) return text.decode(binary(head & 0x1f));
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return binary(unsigned(2 ** (head - 0xc4)));
      case 0xca: return number("getFloat32", 4);
      case 0xcb: return number("getFloat64", 8);
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return unsigned(2 ** (head - 0xcc));
      case 0xd0: case 0xd1: case 0xd2: case 0xd3: return signed(2 ** (head - 0xd0));
      case 0xd9: case 0xda: case 0xdb: return text.decode(binary(unsigned(2 ** (head - 0xd9))));
      case 0xdc: case 0xdd: return list(unsigned(2 ** (head - 0xdb)));
      case 0xde: case 0xdf: return table(unsigned(2 ** (head - 0xdd)));
      default: throw new Error(`MessagePack of a kind that Tiled does not send: ${head}`);
    }
  }
  return value();
}
