/** Headsets: all headsets of a user. */
import { html, useState } from "../lib/html.js";
import { fieldsOf } from "../lib/form.js";
import { inForce } from "../lib/reported.js";
import { Register } from "../ui/headset-setup.js";
import { Alert, Empty, Heading, useRequest } from "../ui/parts.js";

const POLL_MS = 4000;

/** @param {PageProps} props */
export function Headsets({ rest, me }) {
  const [owner, setOwner] = useState("");
  const load = async () => {
    const devices = await (owner ? rest.all(`/api/devices?owner=${encodeURIComponent(owner)}`, "devices") : rest.all("/api/devices", "devices"));
    return Promise.all(devices.map(async (device) => {
      const path = /** @type {const} */ (`/api/devices/${encodeURIComponent(device.thing)}`);
      const [details, shadow] = await Promise.all([rest.get(path), rest.get(`${path}/shadow`)]);
      return { ...details, .../** @type {ShadowState} */ (shadow.state) };
    }));
  };
  const { data, error, reload } = useRequest(load, [owner], POLL_MS);
  const submit = (/** @type {Submit} */ event) => {
    event.preventDefault();
    setOwner(fieldsOf(event.target).owner.trim());
  };
  return html`
    <${Heading} title="Headsets" text="Each headset cancels noise with a control filter that the platform computes for it.">
      ${me && me.role !== "listener" && html`<form class="row" onSubmit=${submit} role="search">
        <label>Owner<input name="owner" placeholder=${me.user} autocapitalize="none" /></label><button>Show</button></form>`}
    <//>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${data?.length === 0 && html`<${Empty} title="No headsets yet">
      Run <code>anc headset</code> to simulate one, or register a real one below.<//>`}
    <div class="stack">
      <div class="fleet">${data?.map((device) => html`<${Card} key=${device.thing} device=${device} />`)}</div>
      <${Register} rest=${rest} onRegistered=${reload} /></div>`;
}

/** @param {{device: Api.DeviceDetails & ShadowState}} props */
function Card({ device }) {
  const { desired = {}, reported = {} } = device;
  const { mode = desired.mode, filter } = inForce(reported);
  const attenuation = mode === "cancel" ? reported.attenuation_db : null;
  return html`<a class="card headset" href=${`#/headsets/${encodeURIComponent(device.thing)}`}>
    <span class="top"><strong>${device.name || device.thing}</strong><${Online} online=${device.online} /></span>
    ${device.name && html`<span class="rest">${device.thing}</span>`}
    <span class="gain"><b>${attenuation?.toFixed(1) ?? "–"}</b> ${attenuation != null ? "dB attenuation" : mode && mode !== "cancel" ? "not cancelling" : "not measured yet"}</span>
    <span class="rest">${desired.noise ? `Noise: ${desired.noise.label.replaceAll("_", " ")}` : "Noise: not classified"}</span>
    <span class="rest">${mode ? `Mode: ${mode}` : "Mode: not reported"}${filter ? `, filter ${filter.slice(0, 8)}` : ""}</span>
    ${mode === "transparency" && html`<span class="tag bad">transparency</span>`}
  </a>`;
}

/** @param {{online: boolean | null}} props */
export function Online({ online }) {
  return html`<span class=${`tag ${online ? "good" : ""}`}>${online ? "online" : online === false ? "offline" : "never connected"}</span>`;
}
