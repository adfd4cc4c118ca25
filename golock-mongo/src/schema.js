// For mongosh. MongoDB 5.0 or newer; a replica set for durable locks and wake-ups. Not a sharded cluster: there each mongos decides
// by its own clock.
// golock needs nothing prepared: the collection is made at its first write. One document a name:
//   _id            the lock's name, a string, compared byte by byte
//   grant          the grant that holds it (16 bytes), null once it was given back
//   released       the last grant that was given back: refused ever after
//   lockBy         the holder's label
//   token          the newest fencing token
//   lockedAt, expiresAt, waitersUntil, freedAt      by the server's clock
// Let no TTL index delete documents by expiresAt: with it goes the token. `golock purge` does it with care.

// The default collation must be the simple one; names are compared so whatever it is, but then without the index.
db.getSiblingDB({database}).createCollection({collection});

// The privileges that suffice. `changeStream` is for wake-ups: without it waiting works, but polls.
db.getSiblingDB({database}).createRole({
  role: "golock",
  privileges: [{
    resource: { db: {database}, collection: {collection} },
    actions: ["find", "insert", "update", "remove", "changeStream"]
  }],
  roles: []
});
