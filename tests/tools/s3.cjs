// A store that speaks S3's protocol and checks signatures: node s3.cjs PORT DIRECTORY BUCKET. Its key is S3RVER, and so is the secret.
const S3rver = require('@20minutes/s3rver');

const [port, directory, name] = process.argv.slice(2);
new S3rver({ address: '127.0.0.1', port: Number(port), directory, silent: true, configureBuckets: [{ name }] }).run();
