// oxc-parser
const { parseSync, parseAsync } = require('oxc-parser');
console.log('result', parseSync('a.js', 'let x = 1').program.body.length);
parseAsync('a.ts', 'let x: number = 1').then(result => console.log('result', result.program.body.length));
