// This page's access to Tiled, with the read-only key, which is in the part of the link that browsers never send.

import { unpack } from "./msgpack.js";

const RETRY_MS = 200; // first delay, until an array exists or after a lost connection; it then increases
const LONGEST_MS = 3000;

export class Refused extends Error {}

/** The key in the page's link. */
export function key() {
  return new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
}

/** Send a request to this server, with the key. */
export async function ask(path) {
  const response = await fetch(path, { headers: { Authorization: `Bearer ${key()}` } });
  if (response.status === 401) throw new Refused();
  if (!response.ok) throw new Error(`${path.split("?")[0]}: ${response.status}`);
  return response;
}

/** The newest estimate of a reconstruction, each array with its number: [name, {count, shape, values}]. */
export async function newest(run) {
  const { count, arrays } = unpack(await (await ask(`newest?run=${run}`)).arrayBuffer());
  return Object.entries(arrays).map(([name, { type, shape, data }]) =>
    [name, { count, shape, values: numbers(data.buffer, { kind: type[1], itemsize: type.slice(2), endianness: type[0] === ">" ? "big" : "little" }) }]);
}

/**
 * Follow an array by Tiled's websocket, once it exists: `show` is called with each entry that arrives, and `look` if an entry
 * arrived in another way. Returns a function that ends it.
 */
export function follow(path, show, look) {
  let ended = false;
  let delay = RETRY_MS;
  let socket;
  const again = () => {
    if (!ended) setTimeout(connect, delay);
    delay = Math.min(LONGEST_MS, 1.4 * delay);
  };
  const connect = async () => {
    try {
      await ask(`/api/v1/metadata/${path}`); // the websocket of an array that does not exist yet would log errors
    } catch {
      again();
      return;
    }
    if (ended) return;
    let type;
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/stream/single/${path}?envelope_format=msgpack`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      delay = RETRY_MS;
      socket.send(JSON.stringify({ type: "auth", access_token: key() }));
    };
    socket.onmessage = ({ data }) => {
      const message = unpack(data);
      if (message.type === "array-schema") {
        type = message.data_type;
        look(); // entries from before the subscription
      } else if (message.type === "array-data") {
        const [entries, ...shape] = message.shape;
        const size = shape.reduce((product, length) => product * length, 1);
        show({ count: (message.offset?.[0] ?? 0) + entries, shape, values: numbers(message.payload.buffer, type).slice(-size) });
      } else {
        look(); // there are more entries in the array's file
      }
    };
    socket.onclose = again;
  };
  connect();
  return () => {
    ended = true;
    socket?.close();
  };
}

/** Bytes converted to numbers, by Tiled's description of the type. */
function numbers(buffer, { kind, itemsize, endianness }) {
  const Kinds = {
    f4: Float32Array, f8: Float64Array, i1: Int8Array, i2: Int16Array, i4: Int32Array,
    u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, b1: Uint8Array,
  };
  const Kind = Kinds[kind + itemsize];
  if (!Kind || endianness === "big") throw new Error(`arrays of ${endianness} ${kind}${itemsize} cannot be shown`);
  return new Kind(buffer);
}
