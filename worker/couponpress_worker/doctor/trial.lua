-- Try what the fleet's scripts need: the server's clock before a write, JSON, a stream with an expiry.
-- KEYS[1] a key that nobody else uses   KEYS[2] another key, which is not touched
-- ARGV[1] how long it lives, milliseconds
-- Returns 1.
local now = redis.call('TIME')
redis.call('XADD', KEYS[1], '*', 'tried', cjson.encode({now[1], now[2]}))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
