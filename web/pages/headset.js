/** One headset: what it hears, which filter it plays, and how to change what it does. */
import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { decodeTaps, frequencyResponse } from "../lib/filter.js";
import { Chart } from "../ui/chart.js";
import { Alarm, Alert, Choice, Figure, Heading, percent, Slider, useAnswer, when } from "../ui/parts.js";
import { Online } from "./headsets.js";

const EVERY_MS = 2000;
const KEPT = 50;
const PAST_S = 600; // of its history
const SENDS = [[false, "Sound"], [true, "Statistics only"]];
const MODES = [["cancel", "Cancel"], ["transparency", "Transparency"], ["bypass", "Bypass"]];

export function Headset({ rest, socket, one }) {
  const path = `/api/devices/${encodeURIComponent(one)}`;
  const ask = async () => {
    const since = Math.floor(Date.now() / 1000) - PAST_S;
    const parts = ["", "/shadow", "/telemetry", `/history?limit=100&since=${since}`].map((part) => rest.get(path + part));
    const [device, shadow, telemetry, history, { sources }] = await Promise.all([...parts, rest.get("/api/emergency/status")]);
    return { device, shadow, telemetry, reports: history.reports, alarm: sources.find(({ source }) => source === one) };
  };
  const { answer, fault, again } = useAnswer(ask, [one], EVERY_MS);
  const news = useNews(socket, one, again);
  const course = useCourse(answer);
  const [refused, setRefused] = useState("");
  const [wishes, setWishes] = useState({}); // what was asked for and is not in the shadow yet
  const change = async (wish, shown = wish) => {
    setWishes((before) => ({ ...before, ...shown }));
    try {
      await rest.patch(`${path}/shadow`, wish);
      setRefused("");
      again();
    } catch (refusal) {
      setRefused(refusal.message);
      setWishes({});
    }
  };
  useEffect(() => {
    const { config, ...plain } = answer?.shadow.state.desired ?? {};
    const desired_ = { ...plain, ...config };
    setWishes((before) => Object.fromEntries(Object.entries(before).filter(([name, value]) => desired_[name] !== value)));
  }, [answer]);
  const { desired = {}, reported = {} } = answer?.shadow.state ?? {};
  const noise = answer?.alarm ? { label: answer.alarm.kind, confidence: answer.alarm.score } : desired.noise;
  const device = answer?.device;
  const version = reported.firmware || answer?.telemetry.firmware;
  const gained = reported.mode === "cancel" ? reported.attenuation_db : null; // what is said of before is past
  return html`
    <${Heading} title=${one} words=${device && `${device.model}, ${device.taps} taps at ${device.rate / 1000} kHz, registered ${when(device.created)}`}>
      ${device && html`<${Online} online=${device.online} />`}<a class="button" href="#/headsets">All headsets</a><//>
    ${fault && html`<${Alert} kind="fault">${fault}<//>`}
    ${refused && html`<${Alert} kind="fault">${refused}<//>`}
    ${device?.refusal && html`<${Alert}>Refused ${when(device.refusal.at)}, a ${device.refusal.what}: ${device.refusal.message}<//>`}
    ${reported.refused && html`<${Alert}>The headset says: ${reported.refused}.<//>`}
    ${reported.update?.state === "refused" && html`<${Alert}>Firmware ${reported.update.version} refused: ${reported.update.reason}<//>`}
    ${answer?.alarm && html`<${Alarm} takesOver>It heard: ${answer.alarm.kind}, ${percent(answer.alarm.score)} sure. It is open to the world until ten seconds after it.<//>`}
    ${!answer?.alarm && reported.mode === "transparency" && html`<${Alert} kind="fault">It is open to the world. ${desired.reason ?? ""}<//>`}
    ${answer && html`<div class="one">
      <section class="card lead">
        <dl class="figures">
          <${Figure} id="gained" kind="large" name="Quieter at the ear" value=${gained?.toFixed(1)} unit="dB" />
          <${Figure} id="noise" name="Noise" value=${noise?.label.replaceAll("_", " ")} unit=${percent(noise?.confidence)} />
          <${Figure} id="mode" name="Mode" value=${reported.mode} />
          <${Figure} id="intensity" name="Intensity" value=${percent(reported.intensity)} />
          <${Figure} name="Reverted" value=${reported.reverted} />
          ${answer.telemetry.battery != null && html`<${Figure} name="Battery" value=${percent(answer.telemetry.battery)} />`}
          ${version && html`<${Figure} id="firmware" name="Firmware" value=${version} unit=${reported.update && `${reported.update.version} ${reported.update.state}`} />`}
        </dl>
      </section>
      <section class="card wishes" aria-label="Change it">
        <${Choice} name="Mode" value=${wishes.mode ?? desired.mode ?? "cancel"} options=${MODES} onChange=${(mode) => change({ mode })} />
        <${Intensity} value=${wishes.intensity ?? desired.intensity ?? 1} change=${change} />
        ${reported.mode && (reported.mode !== desired.mode || reported.intensity !== desired.intensity) && html`
          <p class="hint" role="status">Asked for; the headset has not said yet that it does so.</p>`}
        <${Choice} name="What it sends of a new noise" value=${wishes.private ?? desired.config?.private ?? reported.config?.private ?? false} options=${SENDS}
          onChange=${(isPrivate) => change({ config: { private: isPrivate } }, { private: isPrivate })} />
      </section>
      <section class="card"><${Chart} title="Attenuation at the ear" data=${course} range=${[-5, 45]} seconds=${-60}
        lines=${[{ label: "attenuation", colour: "after", fill: true }]} /></section>
      <section class="card"><${News} news=${news} now=${desired} /></section>
      ${desired.filter && html`<${Filter} filter=${desired.filter} reported=${reported} />`}
      <section class="card wide"><details><summary>The shadow, version ${answer.shadow.version}</summary>
        <pre tabindex="0">${JSON.stringify(answer.shadow.state, (key, value) => key === "data" ? `${value.slice(0, 24)} …` : value, 2)}</pre></details></section>
    </div>`}`;
}

function Intensity({ value, change }) {
  const [shown, setShown] = useState(value);
  useEffect(() => setShown(value), [value]);
  return html`<${Slider} name="Intensity" value=${shown} onInput=${setShown} onChange=${(intensity) => change({ intensity })} />`;
}

/** What the platform says of the headset as it happens; watched anew after each reconnection. */
function useNews(socket, thing, again) {
  const [news, setNews] = useState([]);
  useEffect(() => {
    const watch = () => { if (socket.state === "open") socket.send({ action: "watch", device: thing }); };
    const read = ({ detail }) => {
      if (detail.type !== "device" || detail.device !== thing) return;
      setNews((before) => [{ ...detail, at: Date.now() / 1000 }, ...before].slice(0, KEPT));
      again();
    };
    socket.addEventListener("state", watch);
    socket.addEventListener("frame", read);
    watch();
    return () => {
      socket.removeEventListener("state", watch);
      socket.removeEventListener("frame", read);
    };
  }, [thing]);
  return news;
}

/** What the headset has reported: its history, and what it says while this page is open. */
function useCourse(answer) {
  const [seen, setSeen] = useState([]);
  const gained = answer?.shadow.state.reported?.attenuation_db;
  useEffect(() => {
    if (gained != null) setSeen((before) => [...before, [Date.now() / 1000, gained]].slice(-300));
  }, [answer]);
  return useMemo(() => {
    const told = (answer?.reports ?? []).filter((report) => report.attenuation_db != null)
      .map((report) => [report.at, report.attenuation_db]);
    const first = seen[0]?.[0] ?? Infinity;
    const points = [...told.filter(([at]) => at < first).sort((a, b) => a[0] - b[0]), ...seen];
    const now = Date.now() / 1000;
    return [points.map(([at]) => at - now), points.map(([, value]) => value)];
  }, [seen, answer]);
}

function News({ news, now }) {
  const shown = news.length || !now.noise ? news.slice(0, 6) : [{ ...now, filter: now.filter?.id }];
  return html`<h2>As it happens</h2>
    ${shown.length === 0 && html`<p class="hint">When it meets a new noise, what the platform hears and sends stands here.</p>`}
    <ol class="news" aria-live="polite">${shown.map((one) => html`<li key=${one.at}>
      <time>${one.at ? new Date(one.at * 1000).toLocaleTimeString() : "lately"}</time>
      <span>${one.mode === "transparency" ? html`<b class="tag bad">open to the world</b> ${one.reason}` : html`
        ${one.noise ? html`<b>${one.noise.label.replaceAll("_", " ")}</b>, ${percent(one.noise.confidence)} sure` : "no noise named"}${" "}
        → ${one.filter ? html`filter <code>${one.filter.slice(0, 8)}</code>` : "no filter"}${one.predicted_gain_db != null && `, ${one.predicted_gain_db.toFixed(1)} dB foretold`}`}</span>
    </li>`)}</ol>`;
}

function Filter({ filter, reported: { filter: playing, mode } }) {
  const [w, response] = useMemo(() => {
    const taps = decodeTaps(filter.data);
    return [taps, frequencyResponse(taps, filter.rate)];
  }, [filter.id]);
  const ms = useMemo(() => Array.from(w, (_, k) => (1000 * k) / filter.rate), [filter.id]);
  const state = mode && mode !== "cancel" ? "at rest" : playing === filter.id ? "playing" : playing ? "the headset plays another" : "on its way";
  const lines = [{ label: "w", colour: "after" }];
  return html`
    <section class="card"><${Chart} key=${filter.id} title=${`Filter ${filter.id.slice(0, 8)}: impulse response (${state})`} x="ms" y="" data=${[ms, Array.from(w)]} lines=${lines} /></section>
    <section class="card"><${Chart} key=${filter.id} title="Frequency response" x="Hz" logarithmic data=${response} lines=${lines} /></section>`;
}
