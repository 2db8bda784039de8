/** Uploads of recordings: a preview first, then in parts, continued after a lost connection. */
import { sendFile } from "./rest.js";

const HEAD_BYTES = 256 * 1024; // enough for any header
const TAIL_BYTES = 64 * 1024; // the last page of an Ogg file
const MAX_PREVIEW_BYTES = 9_000_000;
const MAX_BOXES = 1000;
const RETRIES_S = [1, 2, 5, 10, 30, 60];
const STORED = "anc-uploads"; // in localStorage: job by file, to continue after the page was closed

/**
 * @typedef {"" | "cancel" | "predict" | "classify"} Mode  "" is automatic
 *
 * @typedef {object} Item
 * @property {number} id
 * @property {File} file
 * @property {"checking"|"ready"|"rejected"|"queued"|"sending"|"interrupted"|"sent"} state
 * @property {number} share  sent, 0 to 1
 * @property {Api.Preview} [preview]
 * @property {Mode} [mode]  chosen at the start
 * @property {string} error
 */

/** The files that were chosen. Dispatches `change`; and `sent` after each upload. */
export class Uploads extends EventTarget {
  /** @param {import("./rest.js").Rest} rest */
  constructor(rest) {
    super();
    this.rest = rest;
    /** @type {Item[]} */
    this.items = [];
    this.running = false;
  }

  /** Add files and request their previews. @param {Iterable<File>} files */
  add(files) {
    for (const file of files) {
      /** @type {Item} */
      const item = { id: Date.now() + Math.random(), file, state: "checking", share: 0, error: "" };
      this.items.push(item);
      this.#check(item);
    }
    this.#changed();
  }

  /** @param {Item} item */
  remove(item) {
    this.items = this.items.filter((one) => one !== item);
    this.#changed();
  }

  /** Upload all files whose channels the mode allows, one after another. @param {Mode} mode */
  async start(mode) {
    for (const item of this.items) if (item.state === "ready" && explain(item, mode).possible) Object.assign(item, { state: "queued", mode });
    if (this.running) return;
    this.running = true;
    let item;
    while ((item = this.items.find(({ state }) => state === "queued"))) await this.#upload(item);
    this.running = false;
    this.#changed();
  }

  #changed() { this.dispatchEvent(new Event("change")); }

  /** @param {Item} item @param {Partial<Item>} fields */
  #update(item, fields) {
    Object.assign(item, fields);
    this.#changed();
  }

  /** @param {Item} item */
  async #check(item) {
    try {
      const { body, head } = await ends(item.file);
      const preview = await this.rest.post(`/api/audio/preview?head=${head}&size=${item.file.size || 1}`, body);
      this.#update(item, { state: "ready", preview });
    } catch (failure) {
      this.#update(item, { state: "rejected", error: failure.message.replace(/^file: /, "") });
    }
  }

  /** @param {Item} item */
  async #upload(item) {
    this.#update(item, { state: "sending", error: "" });
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#sendMissing(item);
        this.remove(item);
        this.dispatchEvent(new Event("sent"));
        return;
      } catch (failure) {
        const lost = failure.status === 0 || failure.status >= 500;
        if (!lost || attempt === RETRIES_S.length) {
          this.#update(item, { state: lost ? "ready" : "rejected", error: failure.message });
          return;
        }
        this.#update(item, { state: "interrupted", error: "The connection was lost. The upload continues when it is back." });
        await online(RETRIES_S[attempt]);
        this.#update(item, { state: "sending" });
      }
    }
  }

  /** @param {Item} item */
  async #sendMissing(item) {
    const { file, mode = "" } = item;
    const upload = await this.#begin(file, mode);
    let sent = file.size - upload.missing.reduce((sum, { number }) => sum + sizeOf(number, upload), 0);
    for (const { number, link } of upload.missing) {
      const from = (number - 1) * upload.part_bytes;
      const size = sizeOf(number, upload);
      await sendFile(link, file.slice(from, from + size), (loaded) => this.#update(item, { share: (sent + loaded) / file.size }));
      sent += size;
    }
    await this.rest.post(`/api/audio/uploads/${upload.job}`);
    remember(file, mode, null);
  }

  /**
   * Return the missing parts of an earlier upload of the file, or of a new one.
   * @param {File} file @param {Mode} mode @returns {Promise<Omit<Api.UnfinishedUpload, "expires">>}
   */
  async #begin(file, mode) {
    const job = stored()[keyOf(file, mode)];
    if (job) {
      try {
        const upload = await this.rest.get(`/api/audio/uploads/${job}`);
        if (upload.missing.length) return upload;
      } catch (failure) {
        if (failure.code !== "unknown_job") throw failure;
      }
    }
    const { job: created, links, part_bytes } = await this.rest.post("/api/audio/uploads", {
      size: file.size, name: [...file.name].slice(0, 100).join(""), options: mode ? { mode } : {},
    });
    remember(file, mode, created);
    return { job: created, size: file.size, part_bytes, missing: links.map((link, i) => ({ number: i + 1, link })) };
  }
}

/** Return what is done with a file in a mode, from its preview. @param {Item} item @param {Mode} mode */
export function explain(item, mode) {
  const { preview } = item;
  if (!preview) return { possible: false, text: "" };
  const text = preview.modes[mode || preview.automatic];
  if (text) return { possible: true, text };
  const needed = mode === "cancel" ? "two channels, reference and primary" : "one channel";
  return { possible: false, text: `${mode === "cancel" ? "Cancel" : "Predict"} needs ${needed}; this file has ${preview.channels}. Choose another processing.` };
}

/** Return the beginning and the end of a file, and the size of the beginning. @param {File} file */
async function ends(file) {
  if (file.size <= HEAD_BYTES + TAIL_BYTES) return { body: file, head: file.size };
  const tail = Math.max(TAIL_BYTES, await indexBytes(file));
  const head = Math.min(HEAD_BYTES, file.size - tail);
  return { body: new Blob([file.slice(0, head), file.slice(file.size - tail)]), head };
}

/** Return how many bytes from its index on an MP4 file has; 0 for other files and for an index at the beginning. @param {File} file */
async function indexBytes(file) {
  let at = 0;
  for (let i = 0; i < MAX_BOXES && at + 16 <= file.size; i++) {
    const view = new DataView(await file.slice(at, at + 16).arrayBuffer());
    const name = String.fromCharCode(...new Uint8Array(view.buffer, 4, 4));
    if (i === 0 && !["ftyp", "styp", "moov", "mdat", "free", "wide"].includes(name)) return 0;
    if (name === "moov") return at < HEAD_BYTES || file.size - at > MAX_PREVIEW_BYTES ? 0 : file.size - at;
    const size = view.getUint32(0) === 1 ? Number(view.getBigUint64(8)) : view.getUint32(0);
    if (size < 8) return 0;
    at += size;
  }
  return 0;
}

/** @param {number} number  of a part @param {Pick<Api.UnfinishedUpload, "size" | "part_bytes">} upload */
function sizeOf(number, { size, part_bytes: part }) {
  return Math.min(part, size - (number - 1) * part);
}

/** Wait so many seconds, or until the browser is online again. @param {number} seconds */
function online(seconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000 * seconds);
    addEventListener("online", resolve, { once: true });
  });
}

/** @param {File} file @param {Mode} mode */
function keyOf(file, mode) {
  return [file.name, file.size, file.lastModified, mode].join("|");
}

/** @returns {Record<string, string>} */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

/** @param {File} file @param {Mode} mode @param {string | null} job  null: forget it */
function remember(file, mode, job) {
  const jobs = stored();
  delete jobs[keyOf(file, mode)];
  const kept = Object.entries(jobs).slice(-19);
  localStorage.setItem(STORED, JSON.stringify(Object.fromEntries(job ? [...kept, [keyOf(file, mode), job]] : kept)));
}
