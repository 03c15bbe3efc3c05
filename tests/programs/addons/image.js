// @napi-rs/image
const { Transformer } = require('@napi-rs/image');
const pixels = new Uint8Array(16 * 16 * 4).fill(127);
Transformer.fromRgbaPixels(pixels, 16, 16).png().then(png => console.log('result', png.length));
