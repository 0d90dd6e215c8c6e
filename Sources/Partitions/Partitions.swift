// GPT over libfdisk: reads tables, carries out partition plans; the only module that imports it.
