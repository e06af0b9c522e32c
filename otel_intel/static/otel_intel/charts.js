// Draws the charts of the staff pages with Chart.js: numbers from the page's JSON, colours from its stylesheet.
(() => {
  "use strict";

  const number = new Intl.NumberFormat("en");
  const dayMonth = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

  const duration = (ms) => {
    for (const [unit, size] of [["d", 864e5], ["h", 36e5], ["min", 6e4], ["s", 1e3]]) {
      if (ms >= size) return `${+(ms / size).toFixed(1)} ${unit}`;
    }
    return `${Math.round(ms)} ms`;
  };
  const shown = {
    count: (value) => number.format(value),
    percent: (value) => `${+(value * 100).toFixed(1)} %`,
    ms: duration,
  };
  const day = (label) => (/^\d{4}-\d\d-\d\d$/.test(label) ? dayMonth.format(new Date(label)) : label);

  const draw = (canvas) => {
    const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const write = shown[data.unit];
    const line = data.kind === "line";
    const stacked = data.kind === "stacked";
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.color = colour("--muted");
    return new Chart(canvas, {
      type: line ? "line" : "bar",
      data: {
        labels: data.labels,
        datasets: data.series.map((series, index) => ({
          label: series.title,
          data: series.values,
          backgroundColor: series.tones.map((tone) => colour(`--tone-${tone}`)),
          borderColor: colour(line ? `--tone-${series.tones[0]}` : "--panel"),
          borderWidth: line ? 2 : { top: stacked ? 1 : 0 },
          borderDash: line && index ? [6, 4] : [],
          borderRadius: stacked ? 0 : 3,
          // A day between days without data would not be seen as a line.
          pointRadius: ({ dataIndex: at, dataset: { data } }) => (data[at - 1] == null && data[at + 1] == null ? 3 : 0),
          pointHitRadius: 12,
          pointHoverRadius: 4,
          tension: 0.25,
          spanGaps: false,
          maxBarThickness: 56,
        })),
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        plugins: {
          legend: {
            display: data.series.length > 1,
            position: "bottom",
            labels: { boxWidth: line ? 24 : 10, boxHeight: 8, padding: 14, usePointStyle: true, pointStyle: line ? "line" : "rectRounded" },
          },
          tooltip: {
            backgroundColor: colour("--tooltip"),
            titleColor: colour("--tooltip-text"),
            bodyColor: colour("--tooltip-text"),
            padding: 10,
            usePointStyle: true,
            callbacks: { label: (item) => ` ${item.dataset.label}: ${write(item.parsed.y)}` },
          },
        },
        scales: {
          x: {
            stacked,
            grid: { display: false },
            border: { color: colour("--line") },
            ticks: {
              maxRotation: 0,
              autoSkipPadding: 14,
              callback(value) {
                return day(this.getLabelForValue(value));
              },
            },
          },
          y: {
            stacked,
            beginAtZero: true,
            grid: { color: colour("--line") },
            border: { display: false },
            ticks: { maxTicksLimit: 6, precision: data.unit === "count" ? 0 : undefined, callback: write },
          },
        },
      },
    });
  };

  const canvases = [...document.querySelectorAll("canvas[data-chart]")];
  let charts = canvases.map(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    charts.forEach((chart) => chart.destroy());
    charts = canvases.map(draw);
  });
})();
