// The page: the catalog and the cart as HTML, with the names of the replicas that answered, so that a reload shows them
// take turns.

import { ask, json, self, serve } from './service.mjs'

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escape = (text) => String(text).replace(/[&<>"]/g, (character) => escapes[character])

const page = ({ items, catalog, cart }) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>The tutti shop</title>
<style>body { font: 16px/1.5 system-ui; max-width: 40rem; margin: 3rem auto } small { color: #777 }</style>
<h1>The tutti shop</h1>
<ul>
${items
  .map(
    ({ id, name, price, currency }) => `<li>${escape(name)}, ${price} ${escape(currency)}
  <form method="post" action="/buy/${escape(id)}" style="display: inline"><button>buy</button></form>`,
  )
  .join('\n')}
</ul>
<p>In the cart: ${cart.lines.map(({ name, count }) => `${count} × ${escape(name)}`).join(', ') || 'nothing yet'};
total ${cart.total}</p>
<p><small>page by ${escape(self.slot)} on ${escape(self.peer)}, catalog by ${escape(catalog.slot)},
cart by ${escape(cart.from.slot)}</small></p>
</html>
`

serve('web', async (request, response, url) => {
  const id = /^\/buy\/([a-z]+)$/.exec(url.pathname)?.[1]
  if (request.method === 'POST' && id !== undefined) {
    await ask('cart', `/cart/${id}`, { method: 'POST' })
    response.writeHead(303, { location: '/' })
    return response.end()
  }
  if (url.pathname !== '/') return json(response, { error: 'no such page' }, 404)
  const [{ items, from: catalog }, cart] = await Promise.all([ask('catalog', '/items'), ask('cart', '/cart')])
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  return response.end(page({ items, catalog, cart }))
})
