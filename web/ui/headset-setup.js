/** Register, set up, re-provision and remove a headset. */
import { html, useEffect, useState } from "../lib/html.js";
import { fieldsOf } from "../lib/form.js";
import { inForce } from "../lib/reported.js";
import { Alert, useRequest } from "./parts.js";

/** @typedef {{thing: string, credentials: Api.Credentials}} Registration */

/** A link that saves a registration as one file, for `anc headset --credentials` or a firmware's build. @param {{registration: Registration}} props */
function Credentials({ registration }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    const file = new Blob([JSON.stringify(registration, null, 1)], { type: "application/json" });
    const address = URL.createObjectURL(file);
    setUrl(address);
    return () => URL.revokeObjectURL(address);
  }, [registration]);
  return html`<${Alert} kind="done">Credentials of ${registration.thing}, available only now:${" "}
    <a href=${url} download=${`${registration.thing}.json`}>Save ${registration.thing}.json</a>.
    The file contains the private key: copy it to the headset, then delete it.<//>`;
}

/** A form that registers a headset. A stored model provides rate, length and nominal path. @param {{rest: Rest, onRegistered: () => void}} props */
export function Register({ rest, onRegistered }) {
  const { data } = useRequest(() => rest.get("/api/device-models"), []);
  const models = data?.models ?? [];
  const [registration, setRegistration] = useState(/** @type {Registration | null} */ (null));
  const [error, setError] = useState("");
  const submit = async (/** @type {Submit} */ event) => {
    event.preventDefault();
    const form = event.target;
    const { thing, model, path } = fieldsOf(form);
    const secondary = path.trim() === "" ? null : path.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (secondary && secondary.some(Number.isNaN)) {
      setError("The secondary path must consist of numbers, tap 0 first.");
      return;
    }
    try {
      setRegistration(await rest.post("/api/devices", { thing, ...(model && { model }), ...(secondary && { secondary }) }));
      setError("");
      form.reset();
      onRegistered();
    } catch (failure) {
      setError(failure.message);
    }
  };
  return html`<section class="card" aria-label="Register a headset"><h2>Register a headset</h2>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${registration && html`<${Credentials} registration=${registration} />
      <p><a href=${`#/headsets/${encodeURIComponent(registration.thing)}`}>Set up ${registration.thing}</a></p>`}
    <form class="row" onSubmit=${submit}>
      <label>Name<input name="thing" required maxlength="64" pattern="[A-Za-z0-9_\\-]+" autocapitalize="none" autocomplete="off" /></label>
      ${models.length > 0 && html`<label>Model<select name="model"><option value="">none</option>
        ${models.map(({ model }) => html`<option key=${model}>${model}</option>`)}</select></label>`}
      <label>Secondary path<input name="path" autocomplete="off" placeholder="0, 0.5, 0.2" required=${models.length === 0} /></label>
      <button>Register</button>
    </form>
    <p class="hint">The secondary path is the impulse response from the driver to the error microphone, tap 0 first. A headset can measure it later.</p>
  </section>`;
}

/** Return the steps of setting up a headset, and whether each one is done. @param {Api.DeviceDetails} device @param {ShadowState} state @returns {[string, boolean][]} */
function stepsOf(device, { desired = {}, reported = {} }) {
  const { filter } = inForce(reported);
  return [
    ["Registered", true],
    ["Connected", device.online != null],
    ["First snapshot received", Boolean(desired.noise || desired.filter || desired.reason)],
    ["Filter sent", Boolean(desired.filter)],
    ["Filter received", Boolean(desired.filter) && (reported.filter?.id ?? reported.filter) === desired.filter.id],
    ["Filter kept", Boolean(filter) && reported.attenuation_db != null && reported.attenuation_db > 0],
  ];
}

/** The steps of a new headset as they happen; nothing once all are done. @param {{device: Api.DeviceDetails, state: ShadowState}} props */
export function SetUp({ device, state }) {
  const steps = stepsOf(device, state);
  const [begun] = useState(steps.some(([, done]) => !done));
  if (!begun) return null;
  return html`<section class="card wide" aria-label="Set up"><h2>Set up</h2>
    <ol class="log" aria-live="polite">${steps.map(([name, done]) => html`<li key=${name}>
      <span class=${`tag ${done ? "good" : ""}`}>${done ? "done" : "waiting"}</span> <span>${name}</span></li>`)}</ol>
    ${device.refusal && html`<p class="hint">${device.refusal.message}</p>`}</section>`;
}

/** Rename a headset, change its tags, issue new credentials for it, or remove it. @param {{rest: Rest, device: Api.Device, isOperator: boolean, onChanged: () => void}} props */
export function Manage({ rest, device: { thing, name, tags }, isOperator, onChanged }) {
  const path = /** @type {const} */ (`/api/devices/${encodeURIComponent(thing)}`);
  const [registration, setRegistration] = useState(/** @type {Registration | null} */ (null));
  const [error, setError] = useState("");
  const attempt = async (/** @type {() => Promise<void>} */ action) => {
    try {
      await action();
      setError("");
    } catch (failure) {
      setError(failure.message);
    }
  };
  const rename = (/** @type {Submit} */ event) => {
    event.preventDefault();
    const wanted = fieldsOf(event.target).name.trim();
    attempt(async () => {
      await rest.patch(path, { name: wanted });
      onChanged();
    });
  };
  const tag = (/** @type {Submit} */ event) => {
    event.preventDefault();
    const wanted = fieldsOf(event.target).tags.split(/[\s,]+/).filter(Boolean);
    const [add, dropped] = [wanted.filter((each) => !tags.includes(each)), tags.filter((each) => !wanted.includes(each))];
    if (!add.length && !dropped.length) return;
    attempt(async () => {
      const { outcomes: [outcome] } = await rest.post("/api/device-tags", { things: [thing], add, remove: dropped });
      if (outcome?.problem) throw new Error(outcome.problem.detail);
      onChanged();
    });
  };
  const renew = () => confirm(`Issue new credentials for ${thing}? The present ones stop working.`)
    && attempt(async () => setRegistration({ thing, credentials: await rest.post(`${path}/credentials`) }));
  const remove = () => confirm(`Remove ${thing} and everything stored about it?`) && attempt(async () => {
    await rest.remove(path);
    location.hash = "#/headsets";
  });
  return html`<section class="card" aria-label="Manage"><h2>Manage</h2>
    ${error && html`<${Alert} kind="error">${error}<//>`}
    ${registration && html`<${Credentials} registration=${registration} />`}
    <form class="row" onSubmit=${rename}>
      <label>Display name<input name="name" key=${name} defaultValue=${name} placeholder=${thing} maxlength="64" autocomplete="off" /></label>
      <button>Rename</button></form>
    ${isOperator && html`<form class="row" onSubmit=${tag}>
      <label>Tags<input name="tags" key=${tags.join()} defaultValue=${tags.join(" ")} placeholder="hall-3 night-shift" title="Separated by spaces" maxlength="340"
        autocapitalize="none" autocomplete="off" /></label>
      <button>Save tags</button></form>`}
    <p class="row"><button class="quiet" onClick=${renew}>New credentials</button>
      <button class="quiet danger" onClick=${remove}>Remove headset</button></p></section>`;
}
