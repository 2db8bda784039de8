/** The REST API: one method a verb, problem documents as errors. */

/** A refusal (RFC 9457), or that nothing answered (status 0). */
export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export class Rest {
  /**
   * @param {string} base  where the API is; empty for this page's own origin
   * @param {string} token
   * @param {() => void} onUnauthorized  called when the token is not taken any more
   */
  constructor(base, token, onUnauthorized = () => {}) {
    this.base = base;
    this.token = token;
    this.onUnauthorized = onUnauthorized;
  }

  get(path) { return this.call("GET", path); }
  post(path, body) { return this.call("POST", path, body); }
  put(path, body) { return this.call("PUT", path, body); }
  patch(path, body) { return this.call("PATCH", path, body); }

  /** Removes what is at a path; what somebody removed before, in another tab for example, needs no removing. */
  async remove(path) {
    try {
      return await this.call("DELETE", path);
    } catch (refusal) {
      if (refusal.code?.startsWith("unknown_")) return "";
      throw refusal;
    }
  }

  /** @returns {Promise<any>} the document, or the text of an answer that is none */
  async call(method, path, body) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(this.base + path, {
        method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
      });
    } catch {
      throw new Refusal(0, "unreachable", "The platform does not answer. Is it running, and are you online?");
    }
    if (response.status === 401 && this.token) this.onUnauthorized();
    const text = await response.text();
    const isJson = (response.headers.get("content-type") || "").includes("json");
    const answer = isJson && text ? JSON.parse(text) : text;
    // /health answers 503 with the document that says why.
    if (!response.ok && !(path === "/health" && isJson)) {
      throw new Refusal(response.status, answer.code || "refused",
        answer.detail || `The platform answered ${response.status}.`);
    }
    return answer;
  }

  /** Every entry of a list that comes in pages. @returns {Promise<any[]>} */
  async all(path, field, most = 500) {
    const entries = [];
    let after = "";
    do {
      const page = await this.get(`${path}${path.includes("?") ? "&" : "?"}limit=100${after}`);
      entries.push(...page[field]);
      after = page.next ? `&after=${encodeURIComponent(page.next)}` : "";
    } while (after && entries.length < most);
    return entries;
  }
}

/** A presigned link by way of this page's own origin, the only one that a page may talk to. */
export function here(link) {
  const { pathname, search } = new URL(link, location.href);
  return pathname + search;
}

/** Send a part of a file to a presigned link. fetch tells no progress of what is sent; XMLHttpRequest does. */
export function sendFile(link, part, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", here(link));
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => request.status < 300
      ? resolve()
      : reject(new Refusal(request.status, "refused", `The store answered ${request.status} to a part of the file.`));
    request.onerror = () => reject(new Refusal(0, "unreachable", "The upload was cut off. Try again."));
    request.send(part);
  });
}
