// The provisioning endpoint: routes, registration, certificates, releases, events.
