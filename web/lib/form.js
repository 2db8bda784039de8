/** Forms as records of text. */

/** @param {HTMLFormElement} form @returns {Record<string, string>} the fields that are not files */
export function fieldsOf(form) {
  return Object.fromEntries([...new FormData(form)].flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])));
}
