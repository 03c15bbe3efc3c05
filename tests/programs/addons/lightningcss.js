// lightningcss
const { transform } = require('lightningcss');
const code = Buffer.from('.a { color: #ff0000; & .b { top: 1px } }');
console.log('result', transform({ filename: 'a.css', code, minify: true, targets: { chrome: 80 << 16 } }).code.toString());
