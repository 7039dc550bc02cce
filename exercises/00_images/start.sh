# Starts everything that the guest book needs.
redis-server --daemonize yes
python3 app.py
