// Tiled as this page uses it: with the read-only key, which is in the part of the link that no browser sends anywhere.

import { unpack } from "./msgpack.js";

const RETRY_MS = 200; // until an array is there, and after a lost connection; then more and more
const LONGEST_MS = 3000;

export class Refused extends Error {}

/** The key in the page's link. */
export function key() {
  return new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
}

/** Ask this server for something, with the key. */
export async function ask(path) {
  const response = await fetch(path, { headers: { Authorization: `Bearer ${key()}` } });
  if (response.status === 401) throw new Refused();
  if (!response.ok) throw new Error(`${path.split("?")[0]}: ${response.status}`);
  return response;
}

/** What Tiled knows of an array node. */
async function structure(path) {
  return (await (await ask(`/api/v1/metadata/${path}`)).json()).data.attributes.structure;
}

/** The last entry of an array node whose first axis is the estimates: {count, shape, values}. */
async function last(path, { shape: [count, ...shape], data_type: type }) {
  const response = await ask(`/api/v1/array/full/${path}?slice=${count - 1}&format=application/octet-stream`);
  return { count, shape, values: numbers(await response.arrayBuffer(), type) };
}

/**
 * Follow an array by Tiled's websocket: `show` gets the newest entry now, and each one that comes. Returns how to end it, and how
 * to look once more: an entry that comes between the first look and the subscription is not sent.
 */
export function follow(path, show) {
  let ended = false;
  let shown = 0;
  let delay = RETRY_MS;
  let socket;
  const again = () => {
    if (!ended) setTimeout(connect, delay);
    delay = Math.min(LONGEST_MS, 1.4 * delay);
  };
  const pass = (entry) => {
    if (!ended && entry.count > shown) show(entry);
    shown = Math.max(shown, entry.count);
  };
  const connect = async () => {
    let known;
    try {
      known = await structure(path); // the websocket of an array that isn't there yet would fail loudly
      if (known.shape[0] > shown) pass(await last(path, known));
    } catch {
      again();
      return;
    }
    if (ended) return;
    delay = RETRY_MS;
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/stream/single/${path}?envelope_format=msgpack`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", access_token: key() }));
    socket.onmessage = ({ data }) => {
      const message = unpack(data);
      if (message.type === "array-data") {
        const [entries, ...shape] = message.shape;
        const size = shape.reduce((product, length) => product * length, 1);
        const values = numbers(message.payload.buffer, known.data_type).slice(-size);
        pass({ count: (message.offset?.[0] ?? 0) + entries, shape, values });
      }
    };
    socket.onclose = again;
  };
  connect();
  return {
    end: () => {
      ended = true;
      socket?.close();
    },
    look: async () => {
      const known = await structure(path);
      if (known.shape[0] > shown) pass(await last(path, known));
    },
  };
}

/** Bytes as the numbers that they are, by Tiled's words for a type. */
function numbers(buffer, { kind, itemsize, endianness }) {
  const Kinds = {
    f4: Float32Array, f8: Float64Array, i1: Int8Array, i2: Int16Array, i4: Int32Array,
    u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, b1: Uint8Array,
  };
  const Kind = Kinds[kind + itemsize];
  if (!Kind || endianness === "big") throw new Error(`arrays of ${endianness} ${kind}${itemsize} cannot be shown`);
  return new Kind(buffer);
}
