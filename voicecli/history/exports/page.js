"use strict";
(() => {
  const lanes = document.querySelector(".lanes");
  const scroll = document.querySelector(".scroll");
  const audio = document.querySelector("audio");
  const head = document.querySelector(".head");
  const turns = [...document.querySelectorAll(".talk > li")];
  const length = Number(lanes.dataset.seconds);
  let zoom = 1;

  function setZoom(next) {
    next = Math.min(Math.max(1, next), Math.max(1, Math.min(256, length / 5)));
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / zoom;
    zoom = next;
    lanes.style.setProperty("--zoom", zoom);
    scroll.scrollLeft = middle * zoom - scroll.clientWidth / 2;
  }
  function seek(seconds) {
    if (!audio) return;
    audio.currentTime = seconds;
    audio.play().catch(() => {});
  }
  function go(step) {
    const focused = turns.indexOf(document.activeElement && document.activeElement.closest(".talk > li"));
    const current = focused >= 0 ? focused : turns.findIndex((turn) => turn.classList.contains("now"));
    const next = turns[Math.min(Math.max(0, current + step), turns.length - 1)];
    if (next) next.focus();
  }

  for (const button of document.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => setZoom(zoom * Number(button.dataset.zoom)));
  for (const button of document.querySelectorAll("button[data-at]"))
    button.addEventListener("click", () => seek(Number(button.dataset.at)));
  lanes.addEventListener("click", (event) => {
    const box = lanes.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * length);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("audio")) return;
    const act = {
      j: () => go(1), k: () => go(-1), "+": () => setZoom(zoom * 2), "-": () => setZoom(zoom / 2),
      p: () => audio && (audio.paused ? audio.play().catch(() => {}) : audio.pause()),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  if (audio) {
    head.hidden = false;
    audio.addEventListener("timeupdate", () => {
      const now = audio.currentTime;
      head.style.left = `${Math.min(100, (now / length) * 100)}%`;
      const at = (now / length) * lanes.clientWidth;
      if (!audio.paused && (at < scroll.scrollLeft || at > scroll.scrollLeft + scroll.clientWidth))
        scroll.scrollLeft = at - 40;
      for (const turn of turns) {
        const is = Number(turn.dataset.from) <= now && now < Number(turn.dataset.to);
        turn.classList.toggle("now", is);
        const mark = document.querySelector(`.mark[href="#${turn.id}"]`);
        if (mark) mark.classList.toggle("now", is);
      }
    });
  }
})();
