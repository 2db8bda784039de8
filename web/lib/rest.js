/** A client of the REST API: one method per HTTP verb; problem documents become errors. */

/** An error of the API (RFC 9457); status 0 if the platform did not answer. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export class Rest {
  /**
   * @param {string} base  URL of the API; empty for the origin of this page
   * @param {string} token
   * @param {() => void} onUnauthorized  called when the token is rejected
   */
  constructor(base, token, onUnauthorized = () => {}) {
    this.base = base;
    this.token = token;
    this.onUnauthorized = onUnauthorized;
  }

  // Answers and bodies have the types that the OpenAPI document states for the path (web_types).
  /** @template {string} P @param {P} path @returns {Promise<Answer<"GET", P>>} */
  get(path) { return this.call("GET", path); }
  /** @template {string} P @param {P} path @param {Sent<"POST", P> extends undefined ? [] : [Sent<"POST", P>]} body @returns {Promise<Answer<"POST", P>>} */
  post(path, ...body) { return this.call("POST", path, body[0]); }
  /** @template {string} P @param {P} path @param {Sent<"PUT", P>} body @returns {Promise<Answer<"PUT", P>>} */
  put(path, body) { return this.call("PUT", path, body); }
  /** @template {string} P @param {P} path @param {Sent<"PATCH", P>} body @returns {Promise<Answer<"PATCH", P>>} */
  patch(path, body) { return this.call("PATCH", path, body); }

  /** Delete a resource. If it no longer exists, for example because another tab deleted it, this succeeds. @param {string} path */
  async remove(path) {
    try {
      return await this.call("DELETE", path);
    } catch (failure) {
      if (failure.code?.startsWith("unknown_")) return "";
      throw failure;
    }
  }

  /**
   * @param {string} method @param {string} path @param {unknown} [body]  a document, or a sound file
   * @returns {Promise<any>} the JSON document, or the text of any other response
   */
  async call(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const isFile = body instanceof Blob;
    if (body !== undefined) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
    let response;
    try {
      response = await fetch(this.base + path, {
        method, headers, body: isFile || body === undefined ? body : JSON.stringify(body), cache: "no-store",
      });
    } catch {
      throw new ApiError(0, "unreachable", "The platform does not answer. Check that it is running and that you are online.");
    }
    if (response.status === 401 && this.token) this.onUnauthorized();
    const text = await response.text();
    const isJson = (response.headers.get("content-type") || "").includes("json");
    const answer = isJson && text ? JSON.parse(text) : text;
    // /health answers 503 with a document that states the cause.
    if (!response.ok && !(path === "/health" && isJson)) {
      throw new ApiError(response.status, answer.code || "refused",
        answer.detail || `The platform answered ${response.status}.`);
    }
    return answer;
  }

  /**
   * Load all pages of a list, up to `max` entries.
   * @template {string} P @template {ListsOf<Answer<"GET", P>>} F
   * @param {P} path @param {F} field @param {number} [max]
   * @returns {Promise<EntryOf<Answer<"GET", P>[F]>[]>}
   */
  async all(path, field, max = 500) {
    const entries = [];
    let after = "";
    do {
      const page = await this.call("GET", `${path}${path.includes("?") ? "&" : "?"}limit=100${after}`);
      entries.push(...page[field]);
      after = page.next ? `&after=${encodeURIComponent(page.next)}` : "";
    } while (after && entries.length < max);
    return entries;
  }
}

/** Return a presigned link relative to the origin of this page, the only one that the content security policy permits. @param {string} link */
export function sameOrigin(link) {
  const { pathname, search } = new URL(link, location.href);
  return pathname + search;
}

/**
 * Upload a part of a file to a presigned link. Uses XMLHttpRequest, because fetch does not report upload progress.
 * @param {string} link @param {Blob} part @param {(bytes: number) => void} onProgress @returns {Promise<void>}
 */
export function sendFile(link, part, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", sameOrigin(link));
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => request.status < 300
      ? resolve()
      : reject(new ApiError(request.status, "refused", `The upload of a part of the file failed with status ${request.status}.`));
    request.onerror = () => reject(new ApiError(0, "unreachable", "The upload was interrupted. Try again."));
    request.send(part);
  });
}
