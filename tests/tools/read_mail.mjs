// read_mail.mjs DIRECTORY: what mailparser reads in the .eml files of a folder, as JSON by the names of the files. NODE_PATH has what
// package.json names.
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { simpleParser } = createRequire(import.meta.url)(join(process.env.NODE_PATH, 'mailparser'));
const folder = process.argv[2];

async function read(file) {
  const options = { skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true, skipImageLinks: true };
  const mail = await simpleParser(readFileSync(join(folder, file)), options);
  const mailbox = (field) => {
    if (!field) return null;
    const [{ name, address }, ...others] = field.value;
    if (others.length) throw new Error(`${file}: ${JSON.stringify(field.value)}`);
    return [name, address];
  };
  const line = (name) => {
    const found = mail.headerLines.filter(({ key }) => key === name);
    if (found.length > 1) throw new Error(`${file} has ${found.length} lines ${name}`);
    return found.length ? found[0].line.replace(/\r?\n\s+/g, ' ').replace(/^[^:]*:\s*/, '') : null;
  };
  return {
    from: mailbox(mail.from),
    reply_to: mailbox(mail.replyTo),
    to: mailbox(mail.to),
    subject: mail.subject,
    message_id: mail.messageId,
    date: mail.date.getTime(),
    auto_submitted: line('auto-submitted'),
    list_unsubscribe: line('list-unsubscribe'),
    list_unsubscribe_post: line('list-unsubscribe-post'),
    text: mail.text.replace(/\r\n/g, '\n').replace(/\n+$/, ''),
    html: mail.html.replace(/\r\n/g, '\n').replace(/\n+$/, ''),
    attachments: mail.attachments.map(({ filename }) => filename),
  };
}

const mails = {};
for (const file of readdirSync(folder).filter((name) => name.endsWith('.eml')).sort()) mails[file] = await read(file);
process.stdout.write(JSON.stringify(mails));
