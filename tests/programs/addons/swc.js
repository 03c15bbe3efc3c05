// @swc/core
const swc = require('@swc/core');
const source = 'class B { #p = 1; get p() { return this.#p } } const a = async x => { for await (const y of x) y?.z ?? 1 }';
for (let i = 0; i < 20; i++) swc.transformSync(source, { jsc: { target: 'es5' }, minify: true });
const all = [...Array(20)].map(() => swc.transform(source, { jsc: { target: 'es2015' } }));
Promise.all(all).then(results => console.log('result', results.length, results[0].code.length));
