// The sign of Parlor: two people in a conversation, an armchair for each.

/** @returns {SVGElement} */
export function logo() {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 48 48');
  svg.setAttribute('class', 'logo');
  svg.setAttribute('aria-hidden', 'true');
  /** @param {string} d @param {string} name */
  const path = (d, name) => {
    const element = document.createElementNS(namespace, 'path');
    element.setAttribute('d', d);
    element.setAttribute('class', name);
    svg.append(element);
  };
  path('M20 6h16a8 8 0 018 8v8a8 8 0 01-8 8h-1v7l-8-7h-7a8 8 0 01-8-8v-8a8 8 0 018-8z', 'logo-back');
  path('M11 18h16a7 7 0 017 7v6a7 7 0 01-7 7h-7l-8 7v-7h-1a7 7 0 01-7-7v-6a7 7 0 017-7z', 'logo-front');
  path('M13.500 28h.01M19 28h.01M24.500 28h.01', 'logo-dots');
  return svg;
}
