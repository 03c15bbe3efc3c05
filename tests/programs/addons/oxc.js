// oxc-parser
const { parseSync, parseAsync } = require('oxc-parser');
console.log(parseSync('a.js', 'let x = 1').program.body.length);
parseAsync('a.ts', 'let x: number = 1').then(result => console.log(result.program.body.length));
