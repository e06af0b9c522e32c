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

  // Only a person's click unfolds (the keyboard makes one, too): an element that arrives open, or is opened by code or
  // by find-in-page, was not asked for. Capturing: handlers that stop the event or replace the element come later.
  document.addEventListener(
    "click",
    (event) => {
      const element = event.target instanceof Element ? event.target.closest("[data-otel-intel-event]") : null;
      if (!element || !event.isTrusted) return;
      const summary = event.target.closest("summary");
      const details = summary?.parentElement;
      if (element.tagName === "DETAILS" && details !== element) return; // a click into what is unfolded
      const open = details?.tagName === "DETAILS" ? details.open : element.getAttribute("aria-expanded") === "true";
      if (!open) report(element);
    },
    true,
  );
})();
