// rolldown
import { rolldown } from 'rolldown';
import { writeFileSync } from 'fs';
writeFileSync('a.mjs', 'import { b } from "./b.mjs"; console.log(b)');
writeFileSync('b.mjs', 'export const b = 1; export const c = 2');
for (let i = 0; i < 5; i++) {
    const bundle = await rolldown({ input: 'a.mjs' });
    const { output } = await bundle.generate({});
    await bundle.close();
    console.log(output[0].code.length);
}
