// What a schema of the AsyncAPI document says, in two forms that people read: an example, and a type.

/** @typedef {{ [keyword: string]: any }} Schema */

/**
 * The schema that a reference leads to.
 * @param {Schema} document @param {Schema} schema @returns {Schema}
 */
export function resolved(document, schema) {
  const to = schema.$ref;
  if (!to) return schema;
  const steps = to.slice(2).split('/').map((/** @type {string} */ step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return resolved(document, steps.reduce((/** @type {Schema} */ at, /** @type {string} */ step) => at[step], document));
}

/**
 * A payload to begin with: the first form, with what it needs. With `all`, also with what it may have.
 * @param {Schema} document @param {Schema} schema @param {boolean} [all] @returns {any}
 */
export function sample(document, schema, all = false) {
  const found = resolved(document, schema);
  const form = (found.oneOf ?? found.anyOf)?.[0];
  if (form) return sample(document, form, all);
  if (found.enum) return found.enum[0];
  const type = Array.isArray(found.type) ? found.type[0] : found.type;
  if (type === 'object' || found.properties) {
    const wanted = Object.entries(found.properties ?? {}).filter(([name]) => all || found.required?.includes(name));
    return Object.fromEntries(wanted.map(([name, field]) => [name, sample(document, field, all)]));
  }
  if (type === 'array') return [];
  if (type === 'boolean') return false;
  if (type === 'integer' || type === 'number') return found.minimum ?? 0;
  return type === 'null' ? null : '';
}

/**
 * A type in one line: `{ receiver: string, kind?: "text" }`. Types with names are not opened, but at the top.
 * @param {Schema} document @param {Schema} schema @param {boolean} [isTop] @returns {string}
 */
export function typeOf(document, schema, isTop = false) {
  if (schema.$ref && !isTop) return schema.$ref.split('/').at(-1);
  const found = resolved(document, schema);
  const forms = found.oneOf ?? found.anyOf;
  if (forms) return forms.map((/** @type {Schema} */ form) => typeOf(document, form, isTop && !form.$ref)).join(' | ');
  if (found.enum) return found.enum.map((/** @type {any} */ value) => JSON.stringify(value)).join(' | ');
  if (found.properties) {
    const field = (/** @type {[string, Schema]} */ [name, of]) => `${name}${found.required?.includes(name) ? '' : '?'}: ${typeOf(document, of)}`;
    return `{ ${Object.entries(found.properties).map(field).join(', ')} }`;
  }
  if (found.type === 'array') return `${typeOf(document, found.items)}[]`;
  if (found.additionalProperties) return `{ [key]: ${typeOf(document, found.additionalProperties)} }`;
  return [found.type ?? 'any'].flat().join(' | ');
}
