// What the screen's widgets share.

const SIGNS = { passed: "✓", failed: "✗", blocked: "…", error: "!", skipped: "?" };

// An element; functions among its attributes listen, false ones are left out.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}


// A drawing of the kernel's as an element of the page, without the tool tip that it would be as a whole.
function drawing(source) {
  const svg = document.importNode(
    new DOMParser().parseFromString(source, "image/svg+xml").documentElement, true);
  svg.querySelector(":scope > title")?.remove();
  return svg;
}

// Where this browser finds a lab's page: behind a JupyterHub, through the learner's own server.
function reachable(link) {
  const { baseUrl, hubPrefix } = JSON.parse(
    document.getElementById("jupyter-config-data")?.textContent ?? "{}");
  const { origin, hostname, port, pathname, search } = new URL(link, location);
  if (!hubPrefix || hostname !== "127.0.0.1" || origin === location.origin) return link;
  return `${baseUrl}proxy/${port}${pathname}${search}`;
}
