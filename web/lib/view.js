/** The view of a list, such as its filters and order: kept in the URL, so that it can be saved and sent. */

/** @param {string} page @param {URLSearchParams} fields  the view; the same names as the parameters of the API */
export function link(page, fields) {
  const text = fields.toString();
  return `#/${page}${text ? `?${text}` : ""}`;
}

/** Return the link of a view with some fields changed, from its first page; "" removes a field. @param {string} page @param {URLSearchParams} view @param {Record<string, string | number>} changes */
export function changed(page, view, changes) {
  const fields = new URLSearchParams(view);
  fields.delete("after");
  for (const [name, value] of Object.entries(changes)) value ? fields.set(name, String(value)) : fields.delete(name);
  return link(page, fields);
}
