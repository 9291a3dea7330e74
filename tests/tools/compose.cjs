// compose.cjs FILE: checks a compose file against the compose-spec schema, and prints it as JSON with anchors and merge
// keys resolved; exit 1 and what is wrong on stderr otherwise. NODE_PATH has what package.json names.
const fs = require('node:fs');
const path = require('node:path');
const Ajv = require('ajv').default;
const YAML = require('yaml');

const document = YAML.parseDocument(fs.readFileSync(process.argv[2], 'utf8'), { merge: true });
const wrong = [...document.errors, ...document.warnings].map((problem) => problem.message);
let compose;
try {
  compose = document.toJS();
} catch (error) {
  wrong.push(error.message); // an anchor that is not there
}

// The schema is the official one; dclint carries a copy of it. Strict mode would complain of the schema itself.
const dclint = path.dirname(require.resolve('dclint/package.json'));
const schema = JSON.parse(fs.readFileSync(path.join(dclint, 'schemas/compose.schema.json'), 'utf8'));
// It says draft 7 by an address that ajv does not know; ajv's own is draft 7.
delete schema.$schema;
const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
if (compose && !ajv.validate(schema, compose)) {
  wrong.push(...ajv.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`));
}
if (wrong.length) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
console.log(JSON.stringify(compose));
