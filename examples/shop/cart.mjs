// The cart: counts what was put into it, asking the catalog for prices. GET /cart, POST /cart/ID. It keeps its lines in
// memory, each replica its own: an example, not an accountant.

import { ask, json, self, serve } from './service.mjs'

const counts = new Map()

serve('cart', async (request, response, url) => {
  const id = /^\/cart\/([a-z]+)$/.exec(url.pathname)?.[1]
  if (request.method === 'POST' && id !== undefined) {
    // Asked first: what the catalog does not have is not put into the cart.
    await ask('catalog', `/items/${id}`)
    counts.set(id, (counts.get(id) ?? 0) + 1)
  } else if (url.pathname !== '/cart') return json(response, { error: 'no such page' }, 404)
  const { items } = await ask('catalog', '/items')
  const lines = items
    .filter((item) => counts.has(item.id))
    .map((item) => ({ ...item, count: counts.get(item.id) }))
  const total = lines.reduce((sum, { price, count }) => sum + price * count, 0)
  return json(response, { lines, total, from: self })
})
