// Reports the unfolding of elements marked by {% track_explanation_expand %}, beside whatever they do themselves.
// Listens on the document, so that elements which are put into the page later count as well.
(() => {
  "use strict";

  const report = (element) => {
    const { otelIntelEvent, otelIntelSignal, otelIntelUrl, otelIntelCsrf } = element.dataset;
    const body = new URLSearchParams({
      event: otelIntelEvent,
      signal: otelIntelSignal,
      csrfmiddlewaretoken: otelIntelCsrf,
    });
    // keepalive: the request outlives the page when the click leaves it. A failure is nobody's business here.
    fetch(otelIntelUrl, { method: "POST", body, keepalive: true, credentials: "same-origin" }).catch(() => {});
  };

  const marked = (target) => (target instanceof Element ? target.closest("[data-otel-intel-event]") : null);

  // Capturing: handlers that stop the event, and libraries that replace the element, come later.
  document.addEventListener(
    "click",
    (event) => {
      const element = marked(event.target);
      if (!element || element.tagName === "DETAILS") return; // <details> reports by "toggle"
      const details = element.closest("summary")?.parentElement;
      const open = details?.tagName === "DETAILS" ? details.open : element.getAttribute("aria-expanded") === "true";
      if (!open) report(element);
    },
    true,
  );

  // "toggle" does not bubble, but it can be captured. Only what opens counts.
  document.addEventListener(
    "toggle",
    (event) => {
      const element = event.target;
      if (element instanceof HTMLDetailsElement && element.open && element.dataset.otelIntelEvent) report(element);
    },
    true,
  );
})();
