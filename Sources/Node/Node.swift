// What a node does for real: the sequences' effects, the server's client, network set-up and the console.
