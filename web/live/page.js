/** Live: sound in, and what is left of its noise, to be heard and seen. */
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { Chart } from "../ui/chart.js";
import { Icon } from "../ui/icons.js";
import { Alert, Choice, Figure, Heading, Meter, percent, Slider } from "../ui/parts.js";
import { SCENES } from "./scene.js";
import { Spectrogram } from "./spectrogram.js";
import { percentile } from "./run.js";
import { dB } from "./pcm.js";

const SETTINGS = { algorithm: "fdaf", intensity: 1, enabled: true };

export function Live({ run, socket }) {
  useRun(run);
  const [wanted, setWanted] = useState({ kind: "scene", scene: "cabin" });
  const [settings, setSettings] = useState(SETTINGS);
  const busy = run.state === "running" || run.state === "starting";
  const change = (part) => {
    setSettings({ ...settings, ...part });
    run.set(part);
  };
  const begin = async (next) => {
    setWanted(next);
    setSettings({ ...SETTINGS, algorithm: settings.algorithm });
    await run.start(next, settings.algorithm);
  };
  useKeys(run, busy, () => (busy ? run.stop() : begin(wanted)));
  return html`
    <${Heading} title="Live" words="Two microphones stream to the platform; what comes back is what the noise leaves." />
    ${run.fault && html`<${Alert} kind="fault">${run.fault}<//>`}
    ${busy && socket.state !== "open" && html`<${Alert}>The connection is gone. The session is kept; it goes on when the platform answers.<//>`}
    ${run.note && html`<${Alert}>${run.note}<//>`}
    <div class="live">
      <section class="card stage" aria-label="What is heard">
        <${Stage} wanted=${wanted} busy=${busy} begin=${begin} stop=${() => run.stop()} run=${run} />
        <div class="controls">
          <${Choice} big name="Listen to" value=${run.hearing} onChange=${(which) => run.hear(which)}
            options=${[["before", "Before"], ["after", "After"]]} />
          <${Volume} run=${run} />
          ${run.state === "running" && run.kind === "scene" && html`<button class="siren" onClick=${() => run.siren()}>Let a siren pass</button>`}
        </div>
      </section>
      <section class="card facts" aria-label="Figures">
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
          options=${[["on", "On"], ["off", "Transparent"]]} />
        <${Slider} name="Intensity" value=${settings.intensity} onInput=${(intensity) => change({ intensity })} />
        <p class="hint">Keys: <kbd>space</kbd> before or after, <kbd>P</kbd> play or stop, <kbd>M</kbd> mute</p>
      </section>
    </div>`;
}

function useRun(run) {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const again = () => setTurn((turn) => turn + 1);
    for (const what of ["block", "change"]) run.addEventListener(what, again);
    run.socket.addEventListener("state", again);
    return () => {
      for (const what of ["block", "change"]) run.removeEventListener(what, again);
      run.socket.removeEventListener("state", again);
    };
  }, [run]);
}

function useKeys(run, busy, toggle) {
  useEffect(() => {
    const press = (event) => {
      if (event.target.closest("button, input, select, a, textarea, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " ") run.hear(run.hearing === "after" ? "before" : "after");
      else if (event.key === "p") toggle();
      else if (event.key === "m") run.setVolume(run.volume ? 0 : 0.8);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}

function Stage({ wanted, busy, begin, stop, run }) {
  const [kind, setKind] = useState(wanted.kind);
  const [over, setOver] = useState(false);
  const [channels, setChannels] = useState(wanted.channels ?? 1);
  const take = (file) => file && begin({ kind: "file", file });
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  return html`<div class=${`sources ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <${Choice} name="Source" value=${kind} onChange=${(next) => { setKind(next); if (busy) stop(); }}
      options=${[["scene", "Scene"], ["microphone", "Microphone"], ["file", "File"]]} />
    ${kind === "scene" && html`<label class="select">Scene<select value=${wanted.scene ?? "cabin"}
        onChange=${(event) => busy ? begin({ kind, scene: event.target.value }) : (wanted.scene = event.target.value)}>
        ${Object.entries(SCENES).map(([key, { name }]) => html`<option key=${key} value=${key}>${name}</option>`)}</select></label>`}
    ${kind === "microphone" && html`<${Choice} name="How many" value=${String(channels)} disabled=${busy}
        onChange=${(many) => setChannels(Number(many))} options=${[["1", "One"], ["2", "Two"]]} />`}
    ${busy && html`<button class="stop" onClick=${stop} disabled=${run.state === "starting"}><${Icon} name="stop" />Stop</button>`}
  </div>
  <div class="hero">${busy ? html`<${Quieter} run=${run} />` : html`<${Beginning} ...${{ run, kind, channels, take }}
    begin=${() => begin({ ...wanted, kind, channels, scene: wanted.scene ?? "cabin" })} />`}</div>`;
}

/** What a click begins, and what to expect of it. */
function Beginning({ run, kind, channels, take, begin }) {
  const words = {
    scene: "Press play, wait a second, and switch between before and after.",
    microphone: channels === 1 ? "One microphone: the steady part of a noise, which can be predicted, goes."
      : "An input with two: left the one outside, right the one at the ear. A laptop's pair hears the same, and would lose your voice too.",
    file: "Or drop one here. Left the reference, right the ear; or one channel.",
  }[kind];
  return html`${kind === "file"
    ? html`<label class="button primary begin"><${Icon} name="file" />Choose a sound<input type="file" accept="audio/*" class="unseen"
        onChange=${(event) => take(event.target.files[0])} /></label>`
    : html`<button class="primary begin" onClick=${begin}><${Icon} name=${kind === "scene" ? "play" : "microphone"} />
        ${kind === "scene" ? "Play" : "Open microphone"}</button>`}
  <p>${run.state === "failed" ? "It did not start." : words}</p>`;
}

function Quieter({ run }) {
  const { active: open } = run.emergency;
  const of = run.source?.knowsWanted ? "of the noise, the melody left out"
    : run.source?.channels === 1 ? "one microphone: only what can be predicted goes" : "of all that the second microphone hears";
  return html`<p class="big"><output data-figure="attenuation">${run.blocks ? Math.max(0, run.attenuation).toFixed(1) : "0.0"}</output><small>dB</small></p>
    <p>${run.blocks ? open ? html`<strong>open to the world</strong> while the alarm lasts`
      : html`<strong>quieter</strong> ${of}` : "Opening the sound …"}</p>`;
}

function Volume({ run }) {
  const silent = run.volume === 0;
  return html`<div class="volume"><button class="quiet" aria-label=${silent ? "Sound on" : "Mute"} onClick=${() => run.setVolume(silent ? 0.8 : 0)}>
      <${Icon} name=${silent ? "mute" : "sound"} /></button>
    <input type="range" aria-label="Volume" min="0" max="1" step="0.05" value=${run.volume}
      onInput=${(event) => run.setVolume(Number(event.target.value))} />
    ${silent && run.kind === "microphone" && run.state === "running" && html`<span class="hint">Put on headphones, then turn the sound on.</span>`}</div>`;
}

function Noise({ run, busy }) {
  const { active, score } = run.emergency;
  const noise = !busy ? null : active ? { label: "alarm", confidence: score } : run.noise;
  return html`<div class="noise"><span>The platform hears</span>
    <strong data-figure="noise">${noise?.label.replaceAll("_", " ") ?? "nothing yet"}</strong>
    <div class="confidence" role="meter" aria-label="Confidence" aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(100 * (noise?.confidence ?? 0))}><i style=${{ transform: `scaleX(${noise?.confidence ?? 0})` }}></i></div>
    <small>${noise ? `${percent(noise.confidence)} sure` : "after the first second"}</small></div>`;
}

function Latency({ run }) {
  const round = percentile(run.roundTrips, 0.5);
  const late = percentile(run.roundTrips, 0.95);
  const server = percentile(run.serverTimes, 0.5);
  const lost = run.gaps + (run.live?.waiting.length > 5 ? run.live.waiting.length : 0);
  return html`<dl class="figures">
    <${Figure} id="round-trip" name="Round trip" value=${round?.toFixed(1)} unit="ms" />
    <${Figure} id="late" name="19 of 20 below" value=${late?.toFixed(1)} unit="ms" />
    <${Figure} id="server" name="Server" value=${server?.toFixed(2)} unit="ms" />
    <${Figure} id="blocks" name="Blocks" value=${run.blocks} />
    <${Figure} id="lost" name="Late or lost" value=${lost} />
    <${Figure} id="session" name="Session" kind="code" value=${run.session?.slice(0, 8)} />
  </dl>`;
}

function Spectra({ run }) {
  const places = { before: useRef(), after: useRef() };
  useEffect(() => {
    const pictures = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, new Spectrogram(place.current)]));
    const draw = ({ detail }) => {
      for (const name of Object.keys(pictures)) pictures[name].draw(detail[name], detail.rate);
    };
    const change = () => {
      if (run.state === "starting") Object.values(pictures).forEach((picture) => picture.clear());
    };
    run.addEventListener("block", draw);
    run.addEventListener("change", change);
    const resized = new ResizeObserver(() => Object.values(pictures).forEach((picture) => picture.fit()));
    resized.observe(places.before.current);
    return () => {
      resized.disconnect();
      run.removeEventListener("block", draw);
      run.removeEventListener("change", change);
    };
  }, [run]);
  return ["before", "after"].map((name) => html`<figure key=${name}><figcaption><b class=${`key ${name}`}>${name}</b>
    <small>50 Hz to 8 kHz, now at the right</small></figcaption>
    <canvas ref=${places[name]} role="img" aria-label=${`Spectrogram ${name} cancelling`}></canvas></figure>`);
}
