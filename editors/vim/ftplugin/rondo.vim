setlocal commentstring=#\ %s comments=:# expandtab shiftwidth=4 softtabstop=4
setlocal makeprg=rondo\ check\ % errorformat=%E%trror[%*[^]]]:\ %m,%W%tarning[%*[^]]]:\ %m,%Z\ %#-->\ %f:%l:%c,%-G%.%#
