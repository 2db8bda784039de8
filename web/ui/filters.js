/** The form with the filters of a list, and links to its pages. */
import { html } from "../lib/html.js";
import { fieldsOf } from "../lib/form.js";
import { changed, link } from "../lib/view.js";

/**
 * @typedef {Record<string, string>} Fields
 * @param {{page: string, view: URLSearchParams, label: string, read?: (fields: Fields) => Fields, children?: Html}} props
 *   `read` converts fields for the URL
 */
export function Filters({ page, view, label, read = (fields) => fields, children }) {
  const apply = (/** @type {On<HTMLFormElement>} */ event) => {
    const form = event.currentTarget;
    event.preventDefault();
    if (!form.reportValidity()) return;
    const fields = Object.entries(fieldsOf(form)).map(([name, value]) => [name, value.trim()]);
    location.hash = changed(page, view, read(Object.fromEntries(fields)));
  };
  return html`<form class="filters" role="search" aria-label=${label} onSubmit=${apply} onChange=${apply}>
    ${children}
    <button>Search</button>${view.size > 0 && html`<a class="button" href=${`#/${page}`}>Clear</a>`}
  </form>`;
}

/**
 * @param {{view: URLSearchParams, name: string, label: string, suggested?: boolean, placeholder?: string, maxLength?: number}} props
 *   `suggested`: whether `Suggestions` has values of the field
 */
export function TextFilter({ view, name, label, suggested, placeholder, maxLength = 64 }) {
  return html`<label>${label}<input name=${name} value=${view.get(name) ?? ""} placeholder=${placeholder} autocapitalize="none"
    autocomplete="off" maxlength=${maxLength} list=${suggested && `${name}-values`} /></label>`;
}

/** Values that occur, by field. They stand beside the form, because they change while somebody types there. @param {{groups?: Record<string, {value: string}[]>}} props */
export function Suggestions({ groups = {} }) {
  return Object.entries(groups).map(([field, values]) => html`<datalist key=${field} id=${`${field}-values`}>
    ${values.map(({ value }) => html`<option key=${value} value=${value} />`)}</datalist>`);
}

/** @param {{view: URLSearchParams, name: string, label: string, options: Record<string, string>, none?: string, value?: string}} props */
export function SelectFilter({ view, name, label, options, none = "Any", value = view.get(name) ?? "" }) {
  return html`<label>${label}<select name=${name} value=${value}>
    <option value="">${none}</option>${value && !(value in options) && html`<option value=${value}>${value}</option>`}
    ${Object.entries(options).map(([key, shown]) => html`<option key=${key} value=${key}>${shown}</option>`)}</select></label>`;
}

/** Links to the first and the next page; `next` is null on the last page. @param {{page: string, view: URLSearchParams, next: string | null, label: string}} props */
export function Pages({ page, view, next, label }) {
  const following = new URLSearchParams(view);
  following.set("after", next ?? "");
  return html`<nav class="pages" aria-label=${label}>
    ${view.has("after") && html`<a class="button" href=${changed(page, view, {})}>First page</a>`}
    ${next && html`<a class="button" href=${link(page, following)}>Next page</a>`}
  </nav>`;
}
