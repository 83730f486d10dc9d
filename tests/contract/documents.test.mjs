// The documents, as the tools read them that architects use.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DiagnosticSeverity, Parser } from '@asyncapi/parser';
import { createConfig, lint } from '@redocly/openapi-core';

const file = (name) => fileURLToPath(new URL(`../../contract/${name}`, import.meta.url));

test('the AsyncAPI parser finds no mistake in the description of the events', async () => {
  const { document, diagnostics } = await new Parser().parse(await readFile(file('asyncapi.json'), 'utf8'));
  const mistakes = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
  assert.deepEqual(mistakes.map(({ message, path }) => `${path.join('.')}: ${message}`), []);
  assert.equal(document.version(), '3.0.0');
  const channels = document.channels().all().map((channel) => [channel.address(), channel.messages().length > 10]);
  assert.deepEqual(channels.sort(), [['/', true], ['/chat', true], ['/ws', true]]);
  const [typing] = document.operations().filter((operation) => operation.id() === 'chat.typing');
  assert.ok(typing.isReceive() && typing.reply(), 'an event is received, and has an answer');
});

test('redocly lint finds no mistake in the description of the HTTP API', async () => {
  const config = await createConfig({ extends: ['recommended'], rules: ALLOWED });
  const problems = await lint({ ref: file('openapi.json'), config });
  assert.deepEqual(problems.map(({ ruleId, message, location }) => `${ruleId} ${location[0].pointer}: ${message}`), []);
});

/** Advice that does not fit. */
const ALLOWED = {
  // Nobody can ask for these in a wrong way.
  'operation-4xx-response': 'off',
};
