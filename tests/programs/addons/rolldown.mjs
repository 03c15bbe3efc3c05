// rolldown
import { writeFileSync } from 'fs';
process.env.RD_LOG = 'trace'; // its spans
const { rolldown } = await import('rolldown');
writeFileSync('a.mjs', 'import { b } from "./b.mjs"; console.log(b)');
writeFileSync('b.mjs', 'export const b = 1; export const c = 2');
for (let i = 0; i < 5; i++) {
    const bundle = await rolldown({ input: 'a.mjs' });
    const { output } = await bundle.generate({});
    await bundle.close();
    console.log('result', output[0].code.length);
}
