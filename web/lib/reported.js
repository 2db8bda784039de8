/** What a headset reports in its shadow, in the present shape or in that of earlier firmware. */

/**
 * Return the mode and the id of the filter in force, and the running firmware.
 * Earlier firmware reported them as `mode`, `filter` and `firmware`, which now repeat the desired state.
 * @param {Record<string, any>} reported
 * @returns {{mode?: string, filter?: string, firmware?: string}}
 */
export function inForce(reported) {
  const former = (/** @type {unknown} */ value) => (typeof value === "string" ? value : undefined);
  return {
    mode: reported.active_mode ?? reported.mode,
    filter: reported.active_filter ?? former(reported.filter),
    firmware: reported.firmware_version ?? former(reported.firmware),
  };
}
