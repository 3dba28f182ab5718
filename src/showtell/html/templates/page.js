"use strict";

// A map is a list of marks at --x, --y of a plane; moving and zooming only changes three numbers of the plane.
function startMap(figure) {
  const map = figure.querySelector(".map");
  const plane = figure.querySelector(".plane");
  const marks = [...plane.children].map((li) => ({
    li,
    x: +li.style.getPropertyValue("--x"),
    y: +li.style.getPropertyValue("--y"),
    text: (li.textContent + " " + (li.querySelector("button")?.title ?? "") + " " +
      (li.querySelector("button")?.dataset.path ?? "")).toLowerCase(),
  }));
  const search = figure.querySelector("input");
  const found = figure.querySelector("output");
  const view = { k: 1, left: 0, top: 0 };
  let waiting = false;

  // Full sizes, measured while no mark is made small for want of room.
  function measure() {
    for (const { li } of marks) li.classList.remove("crowded");
    for (const mark of marks) [mark.w, mark.h] = [mark.li.offsetWidth + 2, mark.li.offsetHeight];
    paint();
  }

  function draw() {
    if (!waiting) requestAnimationFrame(paint);
    waiting = true;
  }

  function paint() {
    waiting = false;
    plane.style.setProperty("--k", view.k);
    plane.style.setProperty("--left", view.left);
    plane.style.setProperty("--top", view.top);
    makeRoom();
  }

  // What is searched for comes first, then the order of the list; who finds the place taken becomes small.
  function makeRoom() {
    const { clientWidth: width, clientHeight: height } = plane;
    const taken = [];
    const ordered = [...marks.filter((m) => m.hit), ...marks.filter((m) => !m.hit)];
    for (const mark of ordered) {
      const x = (mark.x * view.k + view.left) * width;
      const y = (mark.y * view.k + view.top) * height;
      if (x < -200 || y < -200 || x > width + 200 || y > height + 200) continue;
      const box = [x - mark.w / 2, y - mark.h / 2, x + mark.w / 2, y + mark.h / 2];
      const free = taken.every((t) => box[2] <= t[0] || box[0] >= t[2] || box[3] <= t[1] || box[1] >= t[3]);
      if (free) taken.push(box);
      mark.li.classList.toggle("crowded", !free);
    }
  }

  function look(k, left, top) {
    view.k = Math.min(Math.max(k, 1), 60);
    view.left = Math.min(Math.max(left, 1 - view.k - 0.3 * (view.k > 1)), 0.3 * (view.k > 1));
    view.top = Math.min(Math.max(top, 1 - view.k - 0.3 * (view.k > 1)), 0.3 * (view.k > 1));
    draw();
  }

  // Zoom keeps the point under the pointer where it is; without a pointer, the middle.
  function zoom(factor, x = 0.5, y = 0.5) {
    const k = Math.min(Math.max(view.k * factor, 1), 60);
    look(k, x - ((x - view.left) * k) / view.k, y - ((y - view.top) * k) / view.k);
  }

  function fraction(event) {
    const box = plane.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  map.addEventListener("wheel", (event) => {
    // The page scrolls past a map that nobody has clicked.
    if (!event.ctrlKey && !map.contains(document.activeElement)) return;
    event.preventDefault();
    const step = event.deltaMode ? event.deltaY * 20 : event.deltaY;
    zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), ...fraction(event));
  }, { passive: false });

  const pointers = new Map();
  let travelled = 0;
  map.addEventListener("pointerdown", (event) => {
    if (pointers.size === 0) travelled = 0;
    pointers.set(event.pointerId, fraction(event));
  });
  addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = fraction(event);
    if (pointers.size === 1) {
      travelled += Math.hypot((now[0] - before[0]) * plane.clientWidth, (now[1] - before[1]) * plane.clientHeight);
      look(view.k, view.left + now[0] - before[0], view.top + now[1] - before[1]);
      map.classList.toggle("moving", travelled > 4);
    } else {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const span = (p) => Math.hypot((p[0] - other[0]) * plane.clientWidth, (p[1] - other[1]) * plane.clientHeight);
      zoom(span(now) / Math.max(span(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      travelled = 5;
    }
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      map.classList.remove("moving");
    });
  }
  map.addEventListener("dragstart", (event) => event.preventDefault());
  map.addEventListener("click", (event) => {
    if (travelled > 4) event.stopPropagation(); // the end of a drag opens no image
  }, { capture: true });
  map.addEventListener("dblclick", (event) => zoom(2, ...fraction(event)));

  map.addEventListener("keydown", (event) => {
    const keys = {
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": () => look(1, 0, 0),
      ArrowLeft: () => look(view.k, view.left + 0.12, view.top),
      ArrowRight: () => look(view.k, view.left - 0.12, view.top),
      ArrowUp: () => look(view.k, view.left, view.top + 0.12),
      ArrowDown: () => look(view.k, view.left, view.top - 0.12),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  // A mark reached with the tabulator comes into sight; the browser's own scrolling would shift the plane.
  plane.addEventListener("focusin", (event) => {
    map.scrollTo(0, 0);
    const mark = marks.find(({ li }) => li.contains(event.target));
    const [x, y] = mark ? [mark.x * view.k + view.left, mark.y * view.k + view.top] : [0, 0];
    if (x < 0 || y < 0 || x > 1 || y > 1) centre(mark, view.k);
  });

  function centre(mark, k) {
    look(k, 0.5 - mark.x * k, 0.5 - mark.y * k);
  }

  function seek() {
    const query = search.value.trim().toLowerCase();
    for (const mark of marks) {
      mark.hit = query !== "" && mark.text.includes(query);
      mark.li.classList.toggle("hit", mark.hit);
    }
    plane.classList.toggle("searched", query !== "");
    const hits = marks.filter((m) => m.hit);
    found.textContent = query === "" ? "" : `${hits.length} found`;
    draw();
    return [query, hits];
  }
  search.addEventListener("input", seek);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const [query, hits] = seek();
    const best = hits.find((m) => m.text.trim() === query) ?? hits[0];
    if (best) centre(best, Math.max(view.k, 3));
  });
  for (const button of figure.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => (+button.dataset.zoom ? zoom(+button.dataset.zoom) : look(1, 0, 0)));
  }
  new ResizeObserver(measure).observe(map);
  addEventListener("load", measure);
}

function startImages() {
  const dialog = document.querySelector("dialog");
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".thumbnail");
    if (button) {
      const image = dialog.querySelector("img");
      image.src = button.querySelector("img").src;
      image.alt = button.title;
      dialog.querySelector("p").textContent = button.dataset.caption;
      dialog.querySelector("code").textContent = button.dataset.path;
      dialog.showModal();
    } else if (event.target === dialog) {
      dialog.close();
    }
  });
}

document.querySelectorAll(".map-figure").forEach(startMap);
startImages();
