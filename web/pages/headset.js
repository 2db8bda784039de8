/** One headset: its noise, mode and filter, and its settings. */
import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { decodeTaps, frequencyResponse } from "../lib/filter.js";
import { detailOf } from "../lib/socket.js";
import { inForce } from "../lib/reported.js";
import { Chart } from "../ui/chart.js";
import { Alert, Choice, EmergencyBanner, Figure, Heading, percent, Slider, useRequest, when } from "../ui/parts.js";
import { Manage, SetUp } from "../ui/headset-setup.js";
import { HeadsetEmergencies } from "../ui/headset-emergencies.js";
import { HeadsetHistory } from "../ui/headset-history.js";
import { Tags } from "../ui/headset-table.js";
import { Online } from "./headsets.js";

const POLL_MS = 2000;
const MAX_UPDATES = 50;
const MAX_POINTS = 300;
const HISTORY_S = 600;
/** @type {Options<boolean>} */
const PRIVACY = [[false, "Sound"], [true, "Statistics only"]];
/** @type {Options<Api.DesiredState["mode"]>} */
const MODES = [["cancel", "Cancel"], ["transparency", "Transparency"], ["bypass", "Bypass"]];

/** @typedef {{device: Api.DeviceDetails, shadow: Api.Shadow, telemetry: Api.Telemetry, reports: Api.Telemetry[], emergency?: Api.EmergencyEvent}} Loaded */

/** @param {PageProps} props */
export function Headset({ rest, socket, me, id, query }) {
  const path = /** @type {const} */ (`/api/devices/${encodeURIComponent(id)}`);
  /** @returns {Promise<Loaded>} */
  const load = async () => {
    const since = Math.floor(Date.now() / 1000) - HISTORY_S;
    const [device, shadow, telemetry, history, { sources }] = await Promise.all([
      rest.get(path), rest.get(`${path}/shadow`), rest.get(`${path}/telemetry`), rest.get(`${path}/history?limit=100&since=${since}`),
      rest.get(`/api/emergency/status?source=${encodeURIComponent(id)}`),
    ]);
    return { device, shadow, telemetry, reports: history.reports, emergency: sources.find(({ source }) => source === id) };
  };
  const { data, error, reload } = useRequest(load, [id], POLL_MS);
  const updates = useUpdates(socket, id, reload);
  const trace = useAttenuationTrace(data);
  const [rejection, setRejection] = useState("");
  const [pending, setPending] = useState(/** @type {Frame} */ ({})); // changes that are not in the shadow yet
  const change = async (/** @type {Api.ShadowChange} */ patch, /** @type {Frame} */ shown = patch) => {
    setPending((previous) => ({ ...previous, ...shown }));
    try {
      await rest.patch(`${path}/shadow`, patch);
      setRejection("");
      reload();
    } catch (failure) {
      setRejection(failure.message);
      setPending({});
    }
  };
  useEffect(() => {
    const { config, ...fields } = stateOf(data).desired ?? {};
    /** @type {Frame} */
    const current = { ...fields, ...config };
    setPending((previous) => Object.fromEntries(Object.entries(previous).filter(([name, value]) => current[name] !== value)));
  }, [data]);
  const { desired = {}, reported = {} } = stateOf(data);
  const emergency = data?.emergency;
  const noise = desired.noise; // the banner names the alarm
  const device = data?.device;
  const at = Number(new URLSearchParams(query).get("at")) || null; // the moment to show
  const { mode, firmware } = inForce(reported);
  const version = firmware || data?.telemetry.firmware;
  const attenuation = mode === "cancel" ? reported.attenuation_db : null; // in other modes the value is outdated
  return html`
    <${Heading} title=${device?.name || id} text=${device && `${device.name ? `${id}, ` : ""}${device.model}, ${device.taps} taps at ${device.rate / 1000} kHz, registered ${when(device.created)}`}>
      ${device && html`<${Tags} tags=${device.tags} link=${(tag) => `#/fleet?tag=${tag}`} /><${Online} online=${device.online} />`}<a class="button" href="#/headsets">All headsets</a><//>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${rejection && html`<${Alert} kind="error">${rejection}<//>`}
    ${device?.refusal && html`<${Alert}>Rejected ${device.refusal.what}, ${when(device.refusal.at)}: ${device.refusal.message}<//>`}
    ${reported.refused && html`<${Alert}>Reported by the headset: ${reported.refused}.<//>`}
    ${reported.update?.state === "refused" && html`<${Alert}>Firmware ${reported.update.version} rejected: ${reported.update.reason}<//>`}
    ${emergency && html`<${EmergencyBanner} fullPage>Detected: ${emergency.kind}, confidence ${percent(emergency.score)}. Cancelling is off until ten seconds after the last detection.<//>`}
    ${!emergency && mode === "transparency" && html`<${Alert} kind=${desired.mode === "transparency" && !desired.reason ? "note" : "error"}>Cancelling is off (transparency mode). ${desired.reason ?? ""}<//>`}
    ${at && html`<${HeadsetEmergencies} key=${at} ...${{ rest, id, at }} />`}
    ${data && html`<div class="columns">
      <${SetUp} key=${id} device=${device} state=${data.shadow.state} />
      <section class="card lead">
        <dl class="figures">
          <${Figure} id="attenuation" kind="large" name="Attenuation at the ear" value=${attenuation?.toFixed(1)} unit="dB" />
          <${Figure} id="noise" name="Noise" value=${noise?.label.replaceAll("_", " ")} unit=${percent(noise?.confidence)} />
          <${Figure} id="mode" name="Mode" value=${mode} />
          <${Figure} id="intensity" name="Intensity" value=${percent(reported.intensity)} />
          <${Figure} name="Reverted filters" value=${reported.reverted} />
          ${data.telemetry.battery != null && html`<${Figure} name="Battery" value=${percent(data.telemetry.battery)} />`}
          ${version && html`<${Figure} id="firmware" name="Firmware" value=${version} unit=${reported.update && `${reported.update.version} ${reported.update.state}`} />`}
        </dl>
      </section>
      <section class="card desired" aria-label="Settings">
        <${Choice} name="Mode" value=${pending.mode ?? desired.mode ?? "cancel"} options=${MODES} onChange=${(/** @type {Api.DesiredState["mode"]} */ mode) => change({ mode })} />
        <${Intensity} value=${pending.intensity ?? desired.intensity ?? 1} change=${change} />
        ${reported.mode && (reported.mode !== desired.mode || reported.intensity !== desired.intensity) && html`
          <p class="hint" role="status">Waiting for the headset to confirm the change.</p>`}
        <${Choice} name="Snapshots contain" value=${pending.private ?? desired.config?.private ?? reported.config?.private ?? false} options=${PRIVACY}
          onChange=${(/** @type {boolean} */ isPrivate) => change({ config: { private: isPrivate } }, { private: isPrivate })} />
      </section>
      <section class="card"><${Chart} title="Attenuation at the ear" data=${trace} range=${[-5, 45]} seconds=${-60}
        lines=${[{ label: "attenuation", colour: "after", fill: true }]} /></section>
      <section class="card"><${Updates} updates=${updates} current=${desired} /></section>
      <${HeadsetHistory} ...${{ rest, id, query }} />
      ${desired.filter && html`<${Filter} filter=${desired.filter} reported=${reported} />`}
      ${!at && html`<${HeadsetEmergencies} ...${{ rest, id, at }} />`}
      <${Manage} rest=${rest} device=${data.device} isOperator=${Boolean(me) && me?.role !== "listener"} onChanged=${reload} />
      <section class="card wide"><details><summary>Device shadow, version ${data.shadow.version}</summary>
        <pre tabindex="0">${JSON.stringify(data.shadow.state, (key, value) => key === "data" ? `${value.slice(0, 24)} …` : value, 2)}</pre></details></section>
    </div>`}`;
}

/** @param {Loaded | null} data @returns {ShadowState} */
function stateOf(data) {
  return data?.shadow.state ?? {};
}

/** @param {{value: number, change: (change: {intensity: number}) => void}} props */
function Intensity({ value, change }) {
  const [shown, setShown] = useState(value);
  useEffect(() => setShown(value), [value]);
  return html`<${Slider} name="Intensity" value=${shown} onInput=${setShown} onChange=${(/** @type {number} */ intensity) => change({ intensity })} />`;
}

/** Return the updates that the platform sends about a headset, the newest first. Watches again after each reconnect. @param {PlatformSocket} socket @param {string} thing @param {() => void} reload */
function useUpdates(socket, thing, reload) {
  const [updates, setUpdates] = useState(/** @type {Frame[]} */ ([]));
  useEffect(() => {
    const watch = () => { if (socket.state === "open") socket.send({ action: "watch", device: thing }); };
    const receive = (/** @type {Event} */ event) => {
      const detail = detailOf(event);
      if (detail.type !== "device" || detail.device !== thing) return;
      setUpdates((previous) => [{ ...detail, at: Date.now() / 1000 }, ...previous].slice(0, MAX_UPDATES));
      reload();
    };
    socket.addEventListener("state", watch);
    socket.addEventListener("frame", receive);
    watch();
    return () => {
      socket.removeEventListener("state", watch);
      socket.removeEventListener("frame", receive);
    };
  }, [thing]);
  return updates;
}

/** Return the attenuation over time, from the stored history and from reports while the page is open. @param {Loaded | null} data */
function useAttenuationTrace(data) {
  const [recent, setRecent] = useState(/** @type {[number, number][]} */ ([]));
  /** @type {number | undefined} */
  const attenuation = data?.shadow.state.reported?.attenuation_db;
  useEffect(() => {
    if (attenuation == null) return;
    /** @type {[number, number]} */
    const point = [Date.now() / 1000, attenuation];
    setRecent((previous) => [...previous, point].slice(-MAX_POINTS));
  }, [data]);
  return useMemo(() => {
    const stored = (data?.reports ?? []).flatMap(({ at, attenuation_db: db }) => (at != null && db != null ? [[at, db]] : []));
    const first = recent[0]?.[0] ?? Infinity;
    const points = [...stored.filter(([at]) => at < first).sort((a, b) => a[0] - b[0]), ...recent];
    const now = Date.now() / 1000;
    return [points.map(([at]) => at - now), points.map(([, value]) => value)];
  }, [recent, data]);
}

/** @param {{updates: Frame[], current: Frame}} props */
function Updates({ updates, current }) {
  const shown = updates.length || !current.noise ? updates.slice(0, 6) : [{ ...current, filter: current.filter?.id }];
  return html`<h2>Updates</h2>
    ${shown.length === 0 && html`<p class="hint">No updates yet. One appears for each change of noise.</p>`}
    <ol class="log" aria-live="polite">${shown.map((update) => html`<li key=${update.at}>
      <time>${update.at ? new Date(update.at * 1000).toLocaleTimeString() : "current"}</time>
      <span>${update.mode === "transparency" ? html`<b class="tag bad">transparency</b> ${update.reason}` : html`
        ${update.noise ? html`<b>${update.noise.label.replaceAll("_", " ")}</b>, confidence ${percent(update.noise.confidence)}` : "Noise: not classified"}${" "}
        → ${update.filter ? html`filter <code>${update.filter.slice(0, 8)}</code>` : "no filter"}${update.predicted_gain_db != null && `, predicted ${update.predicted_gain_db.toFixed(1)} dB`}`}</span>
    </li>`)}</ol>`;
}

/** @param {{filter: {id: string, rate: number, data: string}, reported: Record<string, any>}} props */
function Filter({ filter, reported }) {
  const { mode, filter: active } = inForce(reported);
  const [w, response] = useMemo(() => {
    const taps = decodeTaps(filter.data);
    return [taps, frequencyResponse(taps, filter.rate)];
  }, [filter.id]);
  const ms = useMemo(() => Array.from(w, (_, k) => (1000 * k) / filter.rate), [filter.id]);
  const state = mode && mode !== "cancel" ? "inactive" : active === filter.id ? "active" : active ? "another filter is active" : "not confirmed yet";
  const lines = [{ label: "w", colour: "after" }];
  return html`
    <section class="card"><${Chart} key=${filter.id} title=${`Filter ${filter.id.slice(0, 8)}: impulse response (${state})`} x="ms" y="" data=${[ms, Array.from(w)]} lines=${lines} /></section>
    <section class="card"><${Chart} key=${filter.id} title="Frequency response" x="Hz" logarithmic data=${response} lines=${lines} /></section>`;
}
