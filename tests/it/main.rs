mod reception;
