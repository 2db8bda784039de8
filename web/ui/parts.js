/** The parts that pages are made of. */
import { html, useEffect, useState } from "../lib/html.js";

/** A box that says something: kind is "fault", "note" or "done". */
export function Alert({ kind = "note", children }) {
  return html`<p class=${`alert ${kind}`} role=${kind === "fault" ? "alert" : "status"}>${children}</p>`;
}

/** An alarm; one that `takesOver` colours the whole page, so that nobody takes it for a notice. */
export function Alarm({ word = "Alarm", takesOver = false, children }) {
  return html`<div class=${`alarm ${takesOver ? "takes-over" : ""}`} role="alert"><strong>${word}</strong><p>${children}</p></div>`;
}

export function Heading({ title, words, children }) {
  return html`<div class="heading"><div><h1>${title}</h1>${words && html`<p>${words}</p>`}</div>
    <div class="actions">${children}</div></div>`;
}

/** A figure with its unit and what it is. */
export function Figure({ value, unit = "", name, id, kind = "" }) {
  return html`<div class=${`figure ${kind}`}><dt>${name}</dt>
    <dd data-figure=${id}>${value ?? "–"}${value != null && unit && html`<small> ${unit}</small>`}</dd></div>`;
}

/** A level on a scale from -80 to 0 dBFS. */
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

/** One of several, as radio buttons that look like a switch. */
export function Choice({ name, value, options, onChange, big = false, disabled = false }) {
  return html`<fieldset class=${big ? "choice switch" : "choice"} disabled=${disabled}><legend>${name}</legend>
    <div>${options.map(([key, label]) => html`<label key=${key}>
      <input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onChange(key)} />
      <span>${label}</span></label>`)}</div>
  </fieldset>`;
}

/** A share that is drawn along; `onInput` while it moves, `onChange` when it is let go. */
export function Slider({ name, value, onInput, onChange }) {
  const told = (what) => (event) => what?.(Number(event.target.value));
  return html`<div class="slider"><span aria-hidden="true">${name}</span><output>${percent(value)}</output>
    <input type="range" min="0" max="1" step="0.05" value=${value} aria-label=${name}
      aria-valuetext=${percent(value)} onInput=${told(onInput)} onChange=${told(onChange)} /></div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2><p>${children}</p></div>`;
}

/**
 * What an asking gives, asked again every so often.
 * @param {() => Promise<any>} ask @param {any[]} on @param {number} [everyMs]
 * @returns {{answer: any, fault: string, again: () => void}}
 */
export function useAnswer(ask, on, everyMs) {
  const [now, setNow] = useState({ answer: null, fault: "" });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let wanted = true;
    const once = () => ask().then(
      (answer) => wanted && setNow({ answer, fault: "" }),
      (refusal) => wanted && setNow((before) => ({ answer: before.answer, fault: refusal.message })),
    );
    once();
    const timer = everyMs && setInterval(() => { if (!document.hidden) once(); }, everyMs);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [...on, turn]);
  return { ...now, again: () => setTurn((n) => n + 1) };
}

/** Seconds since 1970 as a person reads it. */
export function when(seconds) {
  if (!seconds) return "–";
  const ago = Date.now() / 1000 - seconds;
  if (ago < 60) return "just now";
  if (ago < 3600) return `${Math.round(ago / 60)} min ago`;
  const date = new Date(seconds * 1000);
  return date.toLocaleString([], { dateStyle: ago < 86400 * 300 ? "medium" : "long", timeStyle: "short" });
}

export function percent(share) {
  return share == null ? "–" : `${Math.round(100 * share)} %`;
}

export function bytes(size) {
  if (size == null) return "–";
  return size < 1e6 ? `${Math.round(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
