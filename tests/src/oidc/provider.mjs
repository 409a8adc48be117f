// An OpenID provider (the npm package oidc-provider) with what PROVIDER says: issuer, port, clients, keys.
//
// A client gets a JWT for the resource that it asks for, by client_credentials; `claims` of its entry stand in it.
const { Provider } = await import(`${process.env.HANSARD_NODE_MODULES}/oidc-provider/lib/index.js`);
const { port, clients, keys, ttl } = JSON.parse(process.env.PROVIDER);

const claims = Object.fromEntries(clients.map((client) => [client.id, client.claims]));
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys },
  clients: clients.map(({ id, secret }) => ({
    client_id: id,
    client_secret: secret,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "",
        audience: resource.replace("urn:", ""),
        accessTokenFormat: "jwt",
        accessTokenTTL: ttl,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  extraTokenClaims: (_, token) => claims[token.clientId],
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
