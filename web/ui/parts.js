/** Components and helpers that several pages use. */
import { html, useEffect, useState } from "../lib/html.js";

/** A message. @param {{kind?: "error" | "note" | "done", children?: Html}} props */
export function Alert({ kind = "note", children }) {
  return html`<p class=${`alert ${kind}`} role=${kind === "error" ? "alert" : "status"}>${children}</p>`;
}

/**
 * The banner of an emergency; with `fullPage`, the whole page changes its colour.
 * @param {{title?: string, fullPage?: boolean, children?: Html}} props
 */
export function EmergencyBanner({ title = "Emergency", fullPage = false, children }) {
  return html`<div class=${`emergency ${fullPage ? "full-page" : ""}`} role="alert"><strong>${title}</strong><p>${children}</p></div>`;
}

/** @param {{title: string, text?: Html, children?: Html}} props */
export function Heading({ title, text, children }) {
  return html`<div class="heading"><div><h1>${title}</h1>${text && html`<p>${text}</p>`}</div>
    <div class="actions">${children}</div></div>`;
}

/**
 * A value with its name and unit; `id` is for tests.
 * @param {{value?: string | number | null, unit?: string, name: string, id?: string, kind?: string}} props
 */
export function Figure({ value, unit = "", name, id, kind = "" }) {
  return html`<div class=${`figure ${kind}`}><dt>${name}</dt>
    <dd data-figure=${id}>${value ?? "–"}${value != null && unit && html`<small> ${unit}</small>`}</dd></div>`;
}

/** A level meter from -80 to 0 dBFS. @param {{name: string, level: number | null, kind: string}} props */
export function Meter({ name, level, kind }) {
  const shown = Math.max(-80, Math.min(0, level ?? -80));
  const share = (shown + 80) / 80;
  return html`<div class=${`meter ${kind}`}>
    <span>${name}</span>
    <div role="meter" aria-label=${`Level ${name}`} aria-valuemin="-80" aria-valuemax="0" aria-valuenow=${Math.round(shown)}
      aria-valuetext=${`${shown.toFixed(0)} dBFS`}><i style=${{ transform: `scaleX(${share.toFixed(3)})` }}></i></div>
    <output>${level == null ? "–" : level.toFixed(1)}<small> dBFS</small></output>
  </div>`;
}

/**
 * Radio buttons that look like a switch.
 * @template T
 * @param {{name: string, value: T, options: Options<T>, onChange: (value: T) => void, big?: boolean, disabled?: boolean}} props
 */
export function Choice({ name, value, options, onChange, big = false, disabled = false }) {
  return html`<fieldset class=${big ? "choice switch" : "choice"} disabled=${disabled}><legend>${name}</legend>
    <div>${options.map(([key, label]) => html`<label key=${key}>
      <input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onChange(key)} />
      <span>${label}</span></label>`)}</div>
  </fieldset>`;
}

/**
 * A slider from 0 to 1. `onInput` is called while it moves, `onChange` when it is released.
 * @param {{name: string, value: number, onInput?: (value: number) => void, onChange?: (value: number) => void}} props
 */
export function Slider({ name, value, onInput, onChange }) {
  /** @param {((value: number) => void) | undefined} callback @returns {(event: On<HTMLInputElement>) => void} */
  const pass = (callback) => (event) => callback?.(Number(event.target.value));
  return html`<div class="slider"><span aria-hidden="true">${name}</span><output>${percent(value)}</output>
    <input type="range" min="0" max="1" step="0.05" value=${value} aria-label=${name}
      aria-valuetext=${percent(value)} onInput=${pass(onInput)} onChange=${pass(onChange)} /></div>`;
}

/** The state of a job, with its progress while it is processed. @param {Pick<Api.Job, "state" | "progress">} props */
export function JobState({ state, progress }) {
  const share = percent(progress);
  if (state === "running") return html`<span class="job"><progress value=${progress} aria-label="Progress"></progress> Processing ${share}</span>`;
  const text = { uploading: "Upload incomplete", waiting: progress > 0 ? `Waiting, ${share} processed` : "Waiting", done: "Done", failed: "Failed" }[state];
  return html`<span class=${`tag ${state === "done" ? "good" : state === "failed" ? "bad" : ""}`}>${text}</span>`;
}

/** @param {{title: string, children?: Html}} props */
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2><p>${children}</p></div>`;
}

/**
 * Load data when a dependency changes, and every `pollMs` milliseconds while the page is visible.
 * @template T
 * @param {() => Promise<T>} load @param {unknown[]} dependencies @param {number} [pollMs]
 * @returns {{data: T | null, error: string, reload: () => void}} after an error, `data` keeps its last value
 */
export function useRequest(load, dependencies, pollMs) {
  const [state, setState] = useState({ data: /** @type {T | null} */ (null), error: "" });
  const [reloads, setReloads] = useState(0);
  useEffect(() => {
    let current = true;
    const once = () => load().then(
      (data) => current && setState({ data, error: "" }),
      (failure) => current && setState((previous) => ({ data: previous.data, error: failure.message })),
    );
    once();
    const timer = pollMs ? setInterval(() => { if (!document.hidden) once(); }, pollMs) : undefined;
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [...dependencies, reloads]);
  return { ...state, reload: () => setReloads((n) => n + 1) };
}

/** Format a Unix time in seconds, relative to now if it is less than an hour ago. @param {number | null} [seconds] */
export function when(seconds) {
  if (!seconds) return "–";
  const ago = Date.now() / 1000 - seconds;
  if (ago < 60) return "just now";
  if (ago < 3600) return `${Math.round(ago / 60)} min ago`;
  const date = new Date(seconds * 1000);
  return date.toLocaleString([], { dateStyle: ago < 86400 * 300 ? "medium" : "long", timeStyle: "short" });
}

/** @param {number | null} [share] */
export function percent(share) {
  return share == null ? "–" : `${Math.round(100 * share)} %`;
}

/** @param {number | null} [size] */
export function bytes(size) {
  if (size == null) return "–";
  return size < 1e6 ? `${Math.round(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
