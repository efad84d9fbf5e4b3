// The catalog: what the shop sells. GET /items, GET /items/ID.

import { json, self, serve } from './service.mjs'

const currency = process.env.CURRENCY ?? 'EUR'
const items = [
  { id: 'violin', name: 'Violin', price: 480 },
  { id: 'oboe', name: 'Oboe', price: 1290 },
  { id: 'timpani', name: 'Timpani', price: 2650 },
  { id: 'triangle', name: 'Triangle', price: 24 },
].map((item) => ({ ...item, currency }))

serve('catalog', (_request, response, url) => {
  if (url.pathname === '/items') return json(response, { items, from: self })
  const item = items.find(({ id }) => url.pathname === `/items/${id}`)
  return item === undefined
    ? json(response, { error: 'no such item' }, 404)
    : json(response, { item, from: self })
})
