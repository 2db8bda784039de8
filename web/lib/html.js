// Binds htm templates to Preact; all other modules import from here.
import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { render } from "../vendor/preact.js";
export { useCallback, useEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.js";
/**
 * @typedef {((event: any) => unknown) | {} | null | undefined} Value
 * @type {(strings: TemplateStringsArray, ...values: Value[]) => import("preact").VNode<any>}
 */
export const html = /** @type {any} */ (htm.bind(h));
