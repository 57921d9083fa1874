@echo off
rem Keeps the agent of this machine running. The start-up task "Rollcall agent" runs it, as the
rem agent's own account. Experimental: no real host was updated yet.
rem
rem The agent replaces itself by renaming files and ends; this script waits for its end and
rem starts what stands at its path. Before each start:
rem
rem   no binary, but the version before   the machine stopped between two renames: put it back
rem   an update that is not confirmed     the version before, run as the guard, puts itself back
rem                                       if that was decided, and watches the new version
rem
rem Whatever happens, the loop goes on: there is no way out of it. All names are relative to this
rem script's own folder, which the agent's account may not write to, all programs are those of
rem Windows by their full path, and nothing that a file says ever becomes part of a command.
setlocal EnableExtensions DisableDelayedExpansion
set "NoDefaultCurrentDirectoryInExePath=1"
set "ERRORLEVEL="
set "TOOLS=%SystemRoot%\System32"
set "BINARY=%~dp0bin\rollcall-agent.exe"
set "CONFIG=%~dp0agent.json"
set "STATE=%~dp0state"
cd /d "%TOOLS%"

:start
if exist "%BINARY%" goto guarded
if not exist "%BINARY%.old" goto pause
copy /b /y "%BINARY%.old" "%BINARY%.restore" >nul
move /y "%BINARY%.restore" "%BINARY%" >nul

:guarded
call :ask_journal
if defined UNCONFIRMED "%BINARY%.old" guard look --config "%CONFIG%" --state-dir "%STATE%" >>"%STATE%\agent.log" 2>&1
if exist "%STATE%\agent.log" for %%F in ("%STATE%\agent.log") do if %%~zF GEQ 10000000 move /y "%%~F" "%%~F.1" >nul
"%BINARY%" run --config "%CONFIG%" --state-dir "%STATE%" >>"%STATE%\agent.log" 2>&1
rem An agent that was replaced or asked to end says so by this status. Any other end is a crash.
if %ERRORLEVEL% EQU 143 goto pause
call :ask_journal
if defined UNCONFIRMED "%BINARY%.old" guard stopped --config "%CONFIG%" --state-dir "%STATE%" >>"%STATE%\agent.log" 2>&1

:pause
rem A second: there is no other wait that needs no console.
"%TOOLS%\ping.exe" -n 2 127.0.0.1 >nul
goto start

rem Sets UNCONFIRMED if the journal says so. Not /x: its lines end as a shell wants them.
:ask_journal
set "UNCONFIRMED="
if exist "%STATE%\journal" "%TOOLS%\findstr.exe" /b /c:"state unconfirmed" "%STATE%\journal" >nul 2>&1 && set "UNCONFIRMED=yes"
exit /b 0
