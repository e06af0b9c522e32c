// Reports the unfolding of elements marked by {% track_explanation_expand %}, beside whatever they do themselves.
// Listens on the document, so that elements which are put into the page later count as well.
(() => {
  "use strict";

  // A boosted navigation or a swapped body runs this again in the same document.
  const installed = Symbol.for("otel_intel");
  if (document[installed]) return;
  document[installed] = true;

  const report = (element) => {
    const { otelIntelEvent, otelIntelSignal, otelIntelUrl, otelIntelCsrf, otelIntelEngineVersion } = element.dataset;
    const body = new URLSearchParams({ event: otelIntelEvent, signal: otelIntelSignal });
    if (otelIntelEngineVersion) body.set("engine_version", otelIntelEngineVersion);
    // keepalive: the request outlives the page when the click leaves it. The server counts what it refuses.
    fetch(otelIntelUrl, { method: "POST", mode: otelIntelCsrf, body, keepalive: true }).catch(() => {});
  };

  const pressed = new WeakSet();

  // A button that does not say by aria-expanded whether it has unfolded something does so at the first press.
  const isUnfolded = (element) => {
    if (element.hasAttribute("aria-expanded")) return element.getAttribute("aria-expanded") === "true";
    const before = pressed.has(element);
    pressed.add(element);
    return before;
  };

  // Only a person's click unfolds (the keyboard makes one, too): an element that arrives open, or is opened by code or
  // by find-in-page, was not asked for. Capturing: handlers that stop the event or replace the element come later.
  document.addEventListener(
    "click",
    (event) => {
      const element = event.target instanceof Element ? event.target.closest("[data-otel-intel-event]") : null;
      if (!element || !event.isTrusted) return;
      const summary = event.target.closest("summary");
      // A link in a summary, or what is unfolded, does something else.
      const clicked = event.target.closest("a, button, input, label, select, summary, textarea, [data-otel-intel-event]");
      if (clicked !== element && clicked !== summary) return;
      const details = summary?.parentElement;
      if (element.tagName === "DETAILS" && details !== element) return;
      if (details?.tagName === "DETAILS" ? details.open : isUnfolded(element)) return;
      report(element);
    },
    true,
  );
})();
