// nx
const { mkdirSync, writeFileSync } = require('fs');
const { spawnSync } = require('child_process');
const put = (file, content) => writeFileSync(file, JSON.stringify(content));
for (const name of ['a', 'b']) {
    mkdirSync(`packages/${name}`, { recursive: true });
    put(`packages/${name}/package.json`, { name, version: '1.0.0', scripts: { build: 'echo built' } });
}
put('package.json', { name: 'root', private: true, workspaces: ['packages/*'] });
put('nx.json', { targetDefaults: { build: { cache: true } } });
const nx = require.resolve('nx/package.json').replace('package.json', require('nx/package.json').bin.nx);
const env = { ...process.env, NX_DAEMON: 'false', NX_NATIVE_LOGGING: 'trace', NX_TUI: 'false', NX_NO_CLOUD: 'true', CI: '1' };
const { status, stderr } = spawnSync('node', [nx, 'run-many', '-t', 'build'], { env, encoding: 'utf8' });
console.log('result', status, status ? stderr : '');
