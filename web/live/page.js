/** Live: stream a sound to the platform, play the filtered signal, and show measurements of both. */
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { detailOf } from "../lib/socket.js";
import { Chart } from "../ui/chart.js";
import { Icon } from "../ui/icons.js";
import { Alert, Choice, Figure, Heading, Meter, percent, Slider } from "../ui/parts.js";
import { SCENES } from "./scene.js";
import { Spectrogram } from "./spectrogram.js";
import { percentile } from "./run.js";
import { dB } from "./pcm.js";

const SETTINGS = { algorithm: "fdaf", intensity: 1, enabled: true };

/** @typedef {import("./run.js").Selection} Selection */

/** @param {PageProps} props */
export function Live({ run, socket }) {
  useRun(run);
  const [selection, setSelection] = useState(/** @type {Selection} */ ({ kind: "scene", scene: "cabin" }));
  const [settings, setSettings] = useState(SETTINGS);
  const busy = run.state === "running" || run.state === "starting";
  const change = (/** @type {import("./run.js").Change} */ part) => {
    setSettings({ ...settings, ...part });
    run.set(part);
  };
  const start = async (/** @type {Selection} */ next) => {
    setSelection(next);
    setSettings({ ...SETTINGS, algorithm: settings.algorithm });
    await run.start(next, settings.algorithm);
  };
  useKeys(run, busy, () => (busy ? run.stop() : start(selection)));
  return html`
    <${Heading} title="Live" text="The platform filters the signals of two microphones and returns the residual." />
    ${run.error && html`<${Alert} kind="error">${run.error}<//>`}
    ${busy && socket.state !== "open" && html`<${Alert}>Connection lost. The session continues after the reconnect.<//>`}
    ${run.note && html`<${Alert}>${run.note}<//>`}
    <div class="live">
      <section class="card stage" aria-label="Playback">
        <${Stage} selection=${selection} busy=${busy} start=${start} stop=${() => run.stop()} run=${run} />
        <div class="controls">
          <${Choice} big name="Listen to" value=${run.output} onChange=${(output) => run.listenTo(output)}
            options=${[["before", "Before"], ["after", "After"]]} />
          <${Volume} run=${run} />
          ${run.state === "running" && run.kind === "scene" && html`<button class="siren" onClick=${() => run.playSiren()}>Play a siren</button>`}
        </div>
      </section>
      <section class="card facts" aria-label="Measurements">
        <div class="meters">
          <${Meter} name="before" kind="before" level=${busy && run.blocks ? dB(run.powers.before) : null} />
          <${Meter} name="after" kind="after" level=${busy && run.blocks ? dB(run.powers.after) : null} />
        </div>
        <${Noise} run=${run} busy=${busy} />
        <${Latency} run=${run} />
      </section>
      <section class="card spectra" aria-label="Spectrograms"><${Spectra} run=${run} /></section>
      <section class="card"><${Chart} title="Attenuation" range=${[-3, 42]} seconds=${10} height=${190}
        data=${[run.history.seconds, run.history.attenuation]} lines=${[{ label: "attenuation", colour: "after", fill: true }]} /></section>
      <section class="card"><${Chart} title="Level" y="dBFS" height=${190} range=${[-80, 0]} seconds=${10}
        data=${[run.history.seconds, run.history.before, run.history.after]}
        lines=${[{ label: "before", colour: "before" }, { label: "after", colour: "after" }]} /></section>
      <section class="card settings" aria-label="Settings">
        <${Choice} name="Filter" value=${settings.algorithm} onChange=${(algorithm) => change({ algorithm })}
          options=${[["fdaf", "FDAF"], ["nlms", "NLMS"]]} />
        <${Choice} name="Cancelling" value=${settings.enabled ? "on" : "off"} onChange=${(on) => change({ enabled: on === "on" })}
          options=${[["on", "On"], ["off", "Off"]]} />
        <${Slider} name="Intensity" value=${settings.intensity} onInput=${(intensity) => change({ intensity })} />
        <p class="hint">Keys: <kbd>space</kbd> switch before/after, <kbd>P</kbd> play/stop, <kbd>M</kbd> mute</p>
      </section>
    </div>`;
}

/** Render again whenever the run or its socket changes. @param {Run} run */
function useRun(run) {
  const [, setRenders] = useState(0);
  useEffect(() => {
    const render = () => setRenders((n) => n + 1);
    for (const type of ["block", "change"]) run.addEventListener(type, render);
    run.socket.addEventListener("state", render);
    return () => {
      for (const type of ["block", "change"]) run.removeEventListener(type, render);
      run.socket.removeEventListener("state", render);
    };
  }, [run]);
}

/** @param {Run} run @param {boolean} busy @param {() => void} toggle */
function useKeys(run, busy, toggle) {
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (/** @type {Element} */ (event.target).closest("button, input, select, a, textarea, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " ") run.listenTo(run.output === "after" ? "before" : "after");
      else if (event.key === "p") toggle();
      else if (event.key === "m") run.setVolume(run.volume ? 0 : 0.8);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}

/** @param {{selection: Selection, busy: boolean, start: (selection: Selection) => void, stop: () => void, run: Run}} props */
function Stage({ selection, busy, start, stop, run }) {
  const [kind, setKind] = useState(selection.kind);
  const [over, setOver] = useState(false);
  const [channels, setChannels] = useState(selection.channels ?? 1);
  const open = (/** @type {File | undefined} */ file) => file && start({ kind: "file", file });
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(false);
    open(event.dataTransfer?.files[0]);
  };
  return html`<div class=${`sources ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <${Choice} name="Source" value=${kind} onChange=${(next) => { setKind(next); if (busy) stop(); }}
      options=${[["scene", "Scene"], ["microphone", "Microphone"], ["file", "File"]]} />
    ${kind === "scene" && html`<label class="select">Scene<select value=${selection.scene ?? "cabin"}
        onChange=${(event) => busy ? start({ kind, scene: event.target.value }) : (selection.scene = event.target.value)}>
        ${Object.entries(SCENES).map(([key, { name }]) => html`<option key=${key} value=${key}>${name}</option>`)}</select></label>`}
    ${kind === "microphone" && html`<${Choice} name="Microphones" value=${String(channels)} disabled=${busy}
        onChange=${(count) => setChannels(Number(count))} options=${[["1", "One"], ["2", "Two"]]} />`}
    ${busy && html`<button class="stop" onClick=${stop} disabled=${run.state === "starting"}><${Icon} name="stop" />Stop</button>`}
  </div>
  <div class="hero">${busy ? html`<${Attenuation} run=${run} />` : html`<${StartButton} ...${{ run, kind, channels, open }}
    start=${() => start({ ...selection, kind, channels, scene: selection.scene ?? "cabin" })} />`}</div>`;
}

/**
 * The button that starts the selected source, and a hint.
 * @param {{run: Run, kind: Selection["kind"], channels: number, open: (file: File | undefined) => void, start: () => void}} props
 */
function StartButton({ run, kind, channels, open, start }) {
  const hint = {
    scene: "Click Play, wait a second, then switch between Before and After.",
    microphone: channels === 1 ? "One microphone: only predictable noise, such as hum, is removed."
      : "Two microphones: left outside, right at the ear. The pair of a laptop records the same signal twice, so your voice would be removed too.",
    file: "Or drop a file here. Two channels: left reference, right ear. Or one channel.",
  }[kind];
  return html`${kind === "file"
    ? html`<label class="button primary begin"><${Icon} name="file" />Choose a file<input type="file" accept="audio/*" class="visually-hidden"
        onChange=${(event) => open(event.target.files[0])} /></label>`
    : html`<button class="primary begin" onClick=${start}><${Icon} name=${kind === "scene" ? "play" : "microphone"} />
        ${kind === "scene" ? "Play" : "Open microphone"}</button>`}
  <p>${run.state === "failed" ? "The session could not be started." : hint}</p>`;
}

/** @param {{run: Run}} props */
function Attenuation({ run }) {
  const basis = run.source?.hasTarget ? "of the noise, without the melody"
    : run.source?.channels === 1 ? "of one microphone: only predictable noise is removed" : "of the second microphone";
  return html`<p class="big"><output data-figure="attenuation">${run.blocks ? Math.max(0, run.attenuation).toFixed(1) : "0.0"}</output><small>dB</small></p>
    <p>${!run.blocks ? "Opening the audio source …" : run.emergency.active ? html`<strong>Cancelling is off</strong> during the emergency`
      : html`<strong>attenuation</strong> ${basis}`}</p>`;
}

/** @param {{run: Run}} props */
function Volume({ run }) {
  const muted = run.volume === 0;
  return html`<div class="volume"><button class="quiet" aria-label=${muted ? "Unmute" : "Mute"} onClick=${() => run.setVolume(muted ? 0.8 : 0)}>
      <${Icon} name=${muted ? "mute" : "sound"} /></button>
    <input type="range" aria-label="Volume" min="0" max="1" step="0.05" value=${run.volume}
      onInput=${(event) => run.setVolume(Number(event.target.value))} />
    ${muted && run.kind === "microphone" && run.state === "running" && html`<span class="hint">Put on headphones, then unmute.</span>`}</div>`;
}

/** @param {{run: Run, busy: boolean}} props */
function Noise({ run, busy }) {
  const noise = busy ? run.noise : null; // the banner announces emergencies
  return html`<div class="noise"><span>Noise</span>
    <strong data-figure="noise">${noise?.label.replaceAll("_", " ") ?? "not classified yet"}</strong>
    <div class="confidence" role="meter" aria-label="Confidence" aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(100 * (noise?.confidence ?? 0))}><i style=${{ transform: `scaleX(${noise?.confidence ?? 0})` }}></i></div>
    <small>${noise ? `Confidence ${percent(noise.confidence)}` : "available after one second"}</small></div>`;
}

/** @param {{run: Run}} props */
function Latency({ run }) {
  const median = percentile(run.roundTrips, 0.5);
  const p95 = percentile(run.roundTrips, 0.95);
  const server = percentile(run.serverTimes, 0.5);
  const queued = run.session?.queue.length ?? 0;
  const lost = run.gaps + (queued > 5 ? queued : 0);
  return html`<dl class="figures">
    <${Figure} id="median" name="Latency, median" value=${median?.toFixed(1)} unit="ms" />
    <${Figure} id="p95" name="Latency, p95" value=${p95?.toFixed(1)} unit="ms" />
    <${Figure} id="server" name="Server, median" value=${server?.toFixed(2)} unit="ms" />
    <${Figure} id="blocks" name="Blocks" value=${run.blocks} />
    <${Figure} id="lost" name="Late or lost" value=${lost} />
    <${Figure} id="session" name="Session" kind="code" value=${run.sessionId?.slice(0, 8)} />
  </dl>`;
}

/** @param {{run: Run}} props */
function Spectra({ run }) {
  const before = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const after = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useEffect(() => {
    if (!before.current || !after.current) return undefined;
    const spectrograms = [new Spectrogram(before.current), new Spectrogram(after.current)];
    const draw = (/** @type {Event} */ event) => {
      const block = detailOf(event);
      spectrograms[0].draw(block.before, block.rate);
      spectrograms[1].draw(block.after, block.rate);
    };
    const change = () => {
      if (run.state === "starting") spectrograms.forEach((spectrogram) => spectrogram.clear());
    };
    run.addEventListener("block", draw);
    run.addEventListener("change", change);
    const observer = new ResizeObserver(() => spectrograms.forEach((spectrogram) => spectrogram.fit()));
    observer.observe(before.current);
    return () => {
      observer.disconnect();
      run.removeEventListener("block", draw);
      run.removeEventListener("change", change);
    };
  }, [run]);
  return Object.entries({ before, after }).map(([name, canvas]) => html`<figure key=${name}><figcaption><b class=${`key ${name}`}>${name}</b>
    <small>50 Hz to 8 kHz, newest at the right</small></figcaption>
    <canvas ref=${canvas} role="img" aria-label=${`Spectrogram ${name} cancelling`}></canvas></figure>`);
}
