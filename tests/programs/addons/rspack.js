// @rspack/core
const { rspack } = require('@rspack/core');
require('fs').writeFileSync('entry.js', 'console.log(1)');
const output = { path: `${process.cwd()}/out` };
rspack({ entry: './entry.js', output, mode: 'production' }, (error, stats) => console.log('result', error, stats.hasErrors()));
